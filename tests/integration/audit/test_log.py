"""The log of what happened: who pushed, where it ends, and what an entry is found by."""

import re
import subprocess

from jobserver.audit.log import LogEntry, LogFilter, log
from jobserver.domain.base.permissions import SERVER
from jobserver.domain.record import RecordPush
from jobserver.domain.users import AddUser
from jobserver.store.git.cat_file import tip_at
from jobserver.web.pages.views import audit_tab
from tests.integration.service.push.pushing import EVE, Push
from tests.memory import NOW
from tests.site import ADMIN, Site, job


def test_a_pushed_commit_whose_files_are_gone_is_in_the_log(site: Site) -> None:
    push = Push(site, "main")
    push.commit(("users/eve.yaml", EVE))
    push.send(ADMIN)
    push.land()
    tree = site.git("rev-parse", "main^{tree}").strip()
    (site.path / "objects" / tree[:2] / tree[2:]).unlink()
    (entry,) = log(site.path, LogFilter(event="pushed"))
    assert (entry.actor, entry.requests, entry.workspaces) == ("user/admin", (), ())


def test_the_log_ends_where_nothing_older_is_wanted(site: Site) -> None:
    middle = site.now
    site.ask("generate")
    found = list(log(site.path, LogFilter(since=middle)))
    assert found
    assert all(entry.at >= middle.replace(microsecond=0) for entry in found)
    assert len(found) < len(list(log(site.path, LogFilter())))
    assert list(log(site.path, LogFilter(backend="none"))) == []


def test_a_commit_that_claims_to_be_old_ends_nothing(site: Site) -> None:
    """A runner's push dated 1970 once hid all that had been before it from `--since` and from the audit tabs."""
    start = site.now
    identifier = site.ask("generate")
    push = Push(site, "backends/tpp")
    push.commit(at="1970-01-02T00:00:00Z")
    site.do(SERVER, RecordPush("backends/tpp", push.old, push.tip, "backend/tpp"))
    push.land()
    stands = site.now
    unknown = Push(site, "backends/tpp")
    unknown.commit(at="1975-01-02T00:00:00Z")
    unknown.land()
    site.repo.writer.tips.mark_good("backends/tpp", unknown.tip)  # as servers of before did, which took it for theirs
    site.report((identifier, job("a", "running", 1)))
    found = [entry for entry in log(site.path, LogFilter(since=start)) if entry.branch == "backends/tpp"]
    assert [entry.event for entry in found] == ["jobs.updated", "pushed", "job-request.created"]
    assert found[1].at == stands.replace(microsecond=0)
    tab = audit_tab.audit_page(site.repo, {"backends/tpp": ["active"]}, since=start).entries
    assert [entry.commit.trailer("Event") for entry in tab] == ["jobs.updated", "job-request.created"]
    seconds = int(site.now.timestamp())
    created = int(start.timestamp()) + 2
    tips = [found[0].commit, unknown.tip, push.tip, found[2].commit]
    assert tip_at(site.path, "backends/tpp", seconds) == tips[0]
    assert tip_at(site.path, "backends/tpp", seconds - 2) == tips[1]
    assert tip_at(site.path, "backends/tpp", created - 5) not in tips
    assert tip_at(site.path, "backends/tpp", 0) is None


def test_a_push_ends_where_it_began(site: Site) -> None:
    push = Push(site, "main")
    push.commit(("users/eve.yaml", EVE))
    push.commit(("users/eve.yaml", None))
    push.send(ADMIN)
    push.land()
    site.do(ADMIN, AddUser("mallory"))
    events = [entry.event for entry in log(site.path, LogFilter()) if entry.branch == "main"]
    assert events[:4] == ["user.created", "pushed", "pushed", "backend.created"]


def test_an_entry_is_found_by_what_it_is_about() -> None:
    entry = LogEntry("0" * 40, "main", NOW, "user.created", "user/alice", "x", ("r",), ("w",))
    assert all(
        wanted.has(entry)
        for wanted in (
            LogFilter(),
            LogFilter(workspace="w", request="r", actor="alice", event="user", since=NOW, until=NOW),
            LogFilter(actor="user/alice", event="user.created"),
        )
    )
    later = NOW.replace(year=2027)
    assert not any(
        wanted.has(entry)
        for wanted in (
            LogFilter(workspace="x"),
            LogFilter(request="x"),
            LogFilter(actor="bob"),
            LogFilter(actor="backend/alice"),
            LogFilter(event="use"),
            LogFilter(since=later),
            LogFilter(until=NOW.replace(year=2025)),
        )
    )
    assert LogFilter(actor="tpp").has(LogEntry("0" * 40, "main", NOW, "x", "backend/tpp", "x"))


def test_an_unsigned_commit_has_no_actor_whatever_it_says(site: Site) -> None:
    """Found: a commit with `gpgsig` and any text behind it was listed as done by whom its trailers named."""
    start = site.now
    identifier = site.ask("generate")
    tip = site.git("rev-parse", "backends/tpp").strip()
    honest = site.git("cat-file", "commit", tip)
    assert "Actor: user/alice" in honest
    forged = honest.replace("requested generate", "cancelled everything")
    forged = re.sub(r"(?m)^(committer .*>) \d+", r"\1 1000000000", forged)
    forged = re.sub(r"(?m)^parent .*$", f"parent {tip}", forged)
    command = ["git", "-C", str(site.path), "hash-object", "-t", "commit", "-w", "--stdin"]
    made = subprocess.run(command, input=forged, capture_output=True, text=True, check=True).stdout.strip()
    site.git("update-ref", "refs/heads/backends/tpp", made)
    entries = {entry.commit: entry for entry in log(site.path, LogFilter())}
    assert (entries[made].actor, entries[made].event) == ("", "")
    (asked,) = log(site.path, LogFilter(since=start, event="job-request.created"))  # a time that it claims ends nothing
    assert (asked.commit, asked.actor, asked.requests) == (tip, "user/alice", (identifier,))
    assert made not in {entry.commit for entry in log(site.path, LogFilter(actor="alice"))}
