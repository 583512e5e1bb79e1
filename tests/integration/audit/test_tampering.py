"""What somebody with the disk, and what somebody with the key, could write: each is noticed, and named."""

import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from jobserver.audit import verify as verifying
from jobserver.audit.checkpoint import Descent
from jobserver.audit.log import Entry, Wanted, log
from jobserver.audit.verify import verify
from jobserver.domain import commands as c
from jobserver.domain.documents import Checkpoint, Receipt
from jobserver.domain.permissions import SERVER, Actor
from jobserver.domain.state import Change, Changes
from jobserver.errors import Error
from tests.integration.audit.test_verify import checkpoint, commit, illegal, move, problems
from tests.integration.service.test_receive import EVE, Push, folder_of, text
from tests.memory import NOW
from tests.site import ADMIN, TPP, Site, job

GONE = "1" * 40


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    made = Site(tmp_path)
    made.do(ADMIN, c.AddBackend("emis", "b" * 64))
    checkpoint(made)
    yield made
    made.gate.close()
    made.repo.close()


def stolen(
    site: Site,
    branch: str,
    *trailers: str,
    tree: str = "",
    parents: tuple[str, ...] | None = None,
    author: str = "jobserver@jobs.example",
    time: int | None = None,
) -> str:
    """A commit that whoever has the key made and signed, of whatever they like; the branch stands there."""
    tip = site.git("rev-parse", branch).strip()
    when = int(site.git("log", "-1", "--format=%ct", branch)) if time is None else time
    lines = [
        f"tree {tree or site.git('rev-parse', f'{branch}^{{tree}}').strip()}",
        *(f"parent {parent}" for parent in ((tip,) if parents is None else parents)),
        f"author x <{author}> {when} +0000",
        f"committer jobserver <jobserver@jobs.example> {when} +0000",
    ]
    top = "\n".join(lines).encode() + b"\n"
    body = ("\nx\n\n" + "\n".join((*trailers, "Policy: 1")) + "\n").encode()
    signature = site.repo.writer.keys.current().sign(top + body).replace(b"\n", b"\n ")
    raw = top + b"gpgsig " + signature + b"\n" + body
    sha = hashlib.sha1(b"commit %d\0" % len(raw) + raw).hexdigest()
    file = site.path.parent / "commit"
    file.write_bytes(raw)
    assert site.git("hash-object", "-t", "commit", "-w", "--literally", str(file)).strip() == sha
    move(site, branch, sha)
    return sha


def with_file(site: Site, branch: str, path: str, content: str) -> str:
    """The branch's tree with one file more."""
    push = Push(site, branch)
    push.commit((path, content))
    tree = push.git("rev-parse", f"{push.tip}^{{tree}}")
    kept = site.git("rev-parse", branch).strip()
    push.land()
    move(site, branch, kept)
    return tree


def pushed(site: Site, actor: Actor, branch: str, *files: tuple[str, str | None]) -> Push:
    push = Push(site, branch)
    push.commit(*files, message="by hand")
    push.send(actor)
    push.land()
    return push


OPENED = ("Event: branch.opened", "Actor: server/jobserver", "Branch: main")


@pytest.mark.parametrize(
    ("trailers", "expected"),
    [
        (("Event: branch.opened", "Branch: main"), "has no Actor: trailer that can be read: ''"),
        (("Event: branch.opened", "Actor: root/x", "Branch: main"), "has no Actor: trailer that can be read: 'root/x'"),
        (OPENED, "says Event: branch.opened, and does something else"),
        (("Event: user.created", "Actor: server/jobserver", "Branch: main"), "says Event: user.created, and does"),
        (
            ("Event: user.updated", "Actor: user/admin", "Branch: main"),
            "says Actor: user/admin, and its author is jobserver@jobs.example",
        ),
        (
            ("Event: user.updated", "Actor: server/jobserver", "Branch: main", f"Main: {GONE}"),
            f"says Main: {GONE[:10]}, which is not in the history of main",
        ),
    ],
)
def test_what_a_stolen_key_signs_has_to_agree_with_itself(site: Site, trailers: tuple[str, ...], expected: str) -> None:
    sha = stolen(site, "main", *trailers)
    assert f"main {sha[:10]}: {expected}" in problems(site)


def test_a_file_that_is_no_document_rides_along(site: Site) -> None:
    tree = with_file(site, "main", "README.md", "Trust me.\n")
    stolen(site, "main", "Event: user.updated", "Actor: server/jobserver", "Branch: main", tree=tree)
    assert "says Event: user.updated, and changes README.md" in problems(site)


def test_keys_change_nothing_but_keys(site: Site) -> None:
    tree = with_file(site, "main", "users/eve.yaml", EVE)
    stolen(site, "main", "Event: keys.rotated", "Actor: server/jobserver", "Branch: main", tree=tree)
    assert "says Event: keys.rotated, and changes documents" in problems(site)


@pytest.mark.parametrize(
    ("who", "branch", "event", "expected"),
    [
        ("bob", "main", "keys.rotated", "bob may not change the server's keys on main"),
        ("eve", "main", "key.revoked", "eve is not an active user"),
        ("admin", "backends/tpp", "keys.rotated", "admin is not an active user"),
        ("admin", "main", "branch.opened", "is by user/admin: only the server opens a branch"),
    ],
)
def test_keys_are_changed_by_superusers_on_main(site: Site, who: str, branch: str, event: str, expected: str) -> None:
    author = f"{who}@users.jobs.example"
    sha = stolen(site, branch, f"Event: {event}", f"Actor: user/{who}", f"Branch: {branch}", author=author)
    assert f"{branch} {sha[:10]}: {expected}" in problems(site)


def test_times_go_back(site: Site) -> None:
    stolen(site, "main", "Event: keys.rotated", "Actor: server/jobserver", "Branch: main", time=1_700_000_000)
    assert "is older than the commit before it" in problems(site)


def test_a_branch_that_begins_with_something_else(site: Site) -> None:
    sha = stolen(
        site,
        "main",
        "Event: user.created",
        "Actor: user/admin",
        "Branch: main",
        parents=(),
        author="admin@users.jobs.example",
    )
    found = problems(site)
    assert f"main {sha[:10]}: is the first of its branch, and does not open it" in found
    assert "rolled back, forked or swapped" in found


def test_a_commit_whose_files_are_gone(site: Site) -> None:
    branch = "backends/tpp"
    says = ("Event: keys.rotated", "Actor: server/jobserver", f"Branch: {branch}")
    first = stolen(site, branch, *says, tree=GONE)
    assert f"{branch} {first[:10]}: can't be read: " in problems(site)
    tree = site.git("rev-parse", f"{branch}~1^{{tree}}").strip()
    second = stolen(site, branch, *says, tree=tree)
    found = problems(site)
    assert found.count("can't be read") == 2  # what came after it can't be judged on it either
    assert f"{branch} {second[:10]}: can't be read: " in found


def test_a_commit_that_is_gone_ends_the_verification(site: Site) -> None:
    first = commit(site, "main", "main")
    move(site, "main", commit(site, "main", first))
    (site.path / "objects" / first[:2] / first[2:]).unlink()
    with pytest.raises(Error, match="git"):
        verify(site.path)


def test_pushes_are_covered_by_their_receipts(site: Site) -> None:
    identifier = site.ask("generate")
    path = f"{folder_of(site, identifier)}/jobs/j.yaml"
    one = pushed(site, ADMIN, "main", ("users/eve.yaml", EVE), ("workspaces/trends.yaml", None), ("README.md", "x"))
    two = pushed(site, TPP, "backends/tpp", (path, text(job("j", "running", 1))))
    assert problems(site) == ""
    entries = {entry.commit: entry for entry in log(site.path, Wanted(event="pushed"))}
    assert {sha: entry.actor for sha, entry in entries.items()} == {one.tip: "user/admin", two.tip: "backend/tpp"}
    assert (entries[one.tip].workspaces, entries[one.tip].requests) == (("trends",), ())
    assert (entries[two.tip].workspaces, entries[two.tip].requests) == ((), (identifier,))
    assert entries[two.tip].as_dict() == {
        "commit": two.tip,
        "branch": "backends/tpp",
        "at": "2026-11-24T09:00:00Z",
        "event": "pushed",
        "actor": "backend/tpp",
        "subject": "by hand",
        "requests": (identifier,),
        "workspaces": (),
        "via": "git",
    }


def test_a_receipt_that_is_missing(site: Site) -> None:
    push = Push(site, "main")
    push.commit(("users/eve.yaml", EVE))
    push.land()
    assert f"main {push.tip[:10]}: is not signed, and no receipt of a push covers it" in problems(site)


def test_a_receipt_for_what_was_never_legal(site: Site) -> None:
    """The rules are replayed for pushes too: a receipt says who, not that they might."""
    push = Push(site, "main")
    push.commit(("users/eve.yaml", EVE))
    push.land()
    site.do(SERVER, c.RecordPush("main", push.old, push.tip, "user/alice"))
    assert f"main {push.tip[:10]}: alice may not create the user eve" in problems(site)


def test_a_receipt_for_keys_of_somebody_elses(site: Site) -> None:
    push = Push(site, "main")
    push.commit(("allowed_signers", site.git("show", "main:allowed_signers") + "# mine\n"))
    push.land()
    site.do(SERVER, c.RecordPush("main", push.old, push.tip, "user/admin"))
    assert f"main {push.tip[:10]}: changes allowed_signers" in problems(site)


def test_a_receipt_over_what_the_server_signed(site: Site) -> None:
    old, new = site.git("rev-parse", "main~1", "main").split()
    site.do(SERVER, c.RecordPush("main", old, new, "user/admin"))
    assert f"main {new[:10]}: is signed by the server, and a receipt says user/admin pushed it" in problems(site)


def test_receipts_of_pushes_that_did_not_land_are_legal(site: Site) -> None:
    site.do(SERVER, c.RecordPush("main", GONE, "2" * 40, "user/admin"))
    assert problems(site) == ""
    assert "pushed" not in {entry.event for entry in log(site.path, Wanted())}


def test_receipts_and_checkpoints_are_numbered(site: Site) -> None:
    tip = site.git("rev-parse", "main").strip()
    receipt = Receipt(number=2, branch="main", old=GONE, new="2" * 40, pusher="user/admin", received_at=site.now)
    illegal(site, SERVER, Changes("audit", "push.received", "x", (Change("receipt.yaml", None, receipt),)))
    assert "audit : the receipts are not numbered one after the other" in problems(site).replace("audit:", "audit :")
    before = site.repo.writer.look("audit", lambda state: state.checkpoint())
    after = Checkpoint(number=7, tips={"main": tip}, made_at=site.now)
    illegal(site, SERVER, Changes("audit", "tips.checkpointed", "x", (Change("checkpoint.yaml", before, after),)))
    assert "the checkpoints are not numbered one after the other" in problems(site)


def test_only_the_server_writes_audit(site: Site) -> None:
    receipt = Receipt(number=1, branch="main", old=GONE, new="2" * 40, pusher="user/admin", received_at=site.now)
    illegal(site, ADMIN, Changes("audit", "push.received", "x", (Change("receipt.yaml", None, receipt),)))
    assert "is by user/admin: only the server writes audit" in problems(site)


def test_an_audit_that_can_not_be_read(site: Site) -> None:
    pushed(site, ADMIN, "main", ("users/eve.yaml", EVE))
    for path, content in (("receipt.yaml", "x"), ("checkpoint.yaml", "version: 1\nnumber: 0\n")):
        event = "push.received" if path == "receipt.yaml" else "tips.checkpointed"
        kept = site.git("rev-parse", "audit").strip()
        tree = with_file(site, "audit", path, content)
        stolen(site, "audit", f"Event: {event}", "Actor: server/jobserver", "Branch: audit", tree=tree)
        found = problems(site)
        assert f"audit: can't be read: {path}" in found
        assert "no receipt of a push covers it" in found
        assert "pushed" not in {entry.event for entry in log(site.path, Wanted())}  # nobody knows who
        move(site, "audit", kept)
    site.git("update-ref", "-d", "refs/heads/audit")
    assert "pushed" not in {entry.event for entry in log(site.path, Wanted())}


def test_a_pushed_commit_whose_files_are_gone_is_in_the_log(site: Site) -> None:
    push = Push(site, "main")
    push.commit(("users/eve.yaml", EVE))
    push.send(ADMIN)
    push.land()
    tree = site.git("rev-parse", "main^{tree}").strip()
    (site.path / "objects" / tree[:2] / tree[2:]).unlink()
    (entry,) = log(site.path, Wanted(event="pushed"))
    assert (entry.actor, entry.requests, entry.workspaces) == ("user/admin", (), ())


def test_the_log_ends_where_nothing_older_is_wanted(site: Site) -> None:
    middle = site.now
    site.ask("generate")
    found = list(log(site.path, Wanted(since=middle)))
    assert found
    assert all(entry.at >= middle.replace(microsecond=0) for entry in found)
    assert len(found) < len(list(log(site.path, Wanted())))
    assert list(log(site.path, Wanted(backend="none"))) == []


def test_a_push_ends_where_it_began(site: Site) -> None:
    push = Push(site, "main")
    push.commit(("users/eve.yaml", EVE))
    push.commit(("users/eve.yaml", None))
    push.send(ADMIN)
    push.land()
    site.do(ADMIN, c.AddUser("mallory"))
    events = [entry.event for entry in log(site.path, Wanted()) if entry.branch == "main"]
    assert events[:4] == ["user.created", "pushed", "pushed", "backend.created"]


def test_an_entry_is_found_by_what_it_is_about() -> None:
    entry = Entry("0" * 40, "main", NOW, "user.created", "user/alice", "x", ("r",), ("w",))
    assert all(
        wanted.has(entry)
        for wanted in (
            Wanted(),
            Wanted(workspace="w", request="r", actor="alice", event="user", since=NOW, until=NOW),
            Wanted(actor="user/alice", event="user.created"),
        )
    )
    later = NOW.replace(year=2027)
    assert not any(
        wanted.has(entry)
        for wanted in (
            Wanted(workspace="x"),
            Wanted(request="x"),
            Wanted(actor="bob"),
            Wanted(actor="backend/alice"),
            Wanted(event="use"),
            Wanted(since=later),
            Wanted(until=NOW.replace(year=2025)),
        )
    )
    assert Wanted(actor="tpp").has(Entry("0" * 40, "main", NOW, "x", "backend/tpp", "x"))


def test_a_checkpoint_that_goes_back(site: Site) -> None:
    older, tip = site.git("rev-parse", "main~1", "main").split()
    before = site.repo.writer.look("audit", lambda state: state.checkpoint())
    assert before is not None
    for number, sha in ((2, older), (3, older)):
        after = Checkpoint(number=number, tips={"main": sha}, made_at=site.now)
        illegal(site, SERVER, Changes("audit", "tips.checkpointed", "x", (Change("checkpoint.yaml", before, after),)))
        before = after
    found = [line for line in problems(site).splitlines() if "saw this tip, the one before it a later one" in line]
    assert len(found) == 1  # once, not again for each checkpoint after it
    assert tip not in found[0]


def test_a_branch_that_is_gone_and_one_that_was_rewritten_are_told_once(site: Site) -> None:
    site.ask()
    checkpoint(site)
    site.git("update-ref", "-d", "refs/heads/backends/emis")
    move(site, "backends/tpp", "backends/tpp~1")
    site.ask("generate")
    checkpoint(site)
    site.ask("generate")
    checkpoint(site)
    found = problems(site).splitlines()
    assert len([line for line in found if line.startswith("backends/emis")]) == 1
    assert len([line for line in found if "rolled back, forked or swapped" in line]) == 1


def test_what_is_checkpointed(site: Site) -> None:
    descent = Descent(site.repo)
    assert descent.tips() == {}  # nothing new
    site.ask()
    assert set(descent.tips()) == {"main", "backends/tpp", "backends/emis"}
    audit = site.git("rev-parse", "audit").strip()
    site.git("update-ref", "-d", "refs/heads/audit")
    assert set(descent.tips()) == {"main", "backends/tpp", "backends/emis"}
    move(site, "audit", audit)
    old = site.git("rev-parse", "backends/emis").strip()
    site.git("update-ref", "-d", "refs/heads/backends/emis")
    assert descent.tips()["backends/emis"] == old
    assert descent.strayed == ["backends/emis"]


def test_a_branch_whose_old_tip_git_no_longer_has_has_strayed(site: Site) -> None:
    first = commit(site, "main", "main")
    move(site, "main", first)
    checkpoint(site)
    move(site, "main", f"{first}~1")
    site.do(ADMIN, c.AddUser("eve"))
    (site.path / "objects" / first[:2] / first[2:]).unlink()
    descent = Descent(site.repo)
    assert descent.tips() == {}  # it stays where the last one saw it
    assert descent.strayed == ["main"]


def test_since_a_checkpoint_and_since_a_time_without_one(site: Site) -> None:
    opened = site.git("rev-list", "--max-parents=0", "audit").strip()
    everything = verify(site.path).commits
    assert verify(site.path, since=opened).commits == everything - 1  # nothing was checkpointed yet
    assert verify(site.path, since="audit").commits == 0
    site.ask()
    assert verify(site.path, since="audit").commits == 1
    site.git("update-ref", "-d", "refs/heads/backends/emis")
    assert "saw this branch; it is gone" in problems(site, since="audit")
    with pytest.raises(Error, match="expected a commit of a branch of the record"):
        verify(site.path, since=commit(site, "main", "main"))


def test_what_is_no_state_repository(site: Site) -> None:
    site.git("update-ref", "-d", "refs/heads/main")
    with pytest.raises(Error, match="has no branch main"):
        verify(site.path)


def test_a_witness_may_have_branches_of_its_own(site: Site, tmp_path: Path) -> None:
    witness = tmp_path / "witness"
    site.git("clone", "-q", "--mirror", str(site.path), str(witness))
    site.git("-C", str(witness), "branch", "mine", "main")
    assert verify(site.path, witness=witness).problems == []


def test_long_histories_are_judged_side_by_side(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    for _ in range(6):
        site.ask("generate")
    whole = verify(site.path)
    monkeypatch.setattr(verifying, "_STRETCH", 4)
    told: list[tuple[int, int]] = []
    assert verify(site.path, progress=lambda done, all_: told.append((done, all_))) == whole
    assert told[-1] == (whole.commits, whole.commits)
    sha = stolen(site, "backends/tpp", "Event: jobs.updated", "Actor: backend/tpp", "Branch: backends/tpp")
    assert sha[:10] in problems(site)
