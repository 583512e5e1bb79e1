"""The audit tab shows every change, a page at a time, and each commit's changes without the files that only moved."""

import subprocess

import pytest

from jobserver.domain.backends import PauseBackend, ResumeBackend
from jobserver.domain.job_requests.pipelines import PipelineAction
from jobserver.domain.job_requests.requests import RequestJobs
from jobserver.errors import Error
from jobserver.web.pages.format.commit_changes import MOST_BYTES, commit_changes
from jobserver.web.pages.views import audit_tab
from jobserver.web.pages.views.audit_tab import Entry, audit_page
from tests.site import ADMIN, ALICE, Site, job

PATHS = {"main": ["backends/tpp.yaml"], "backends/tpp": ["active", "archive"]}


def shas(entries: list[Entry]) -> list[str]:
    return [entry.commit.sha for entry in entries]


def test_the_pages_together_have_every_change_once(site: Site) -> None:
    for number in range(7):
        identifier = site.ask("generate")
        site.report((identifier, job(f"j{number}", "running", number)))
        site.do(ADMIN, PauseBackend("tpp"))
        site.do(ADMIN, ResumeBackend("tpp"))
    logged = site.git("log", "--format=%H", "main", "backends/tpp", "--", *PATHS["main"], *PATHS["backends/tpp"])
    shown, before, pages = [], "", 0
    while True:
        page = audit_page(site.repo, PATHS, before, most=4)
        assert page.before == before
        shown += shas(page.entries)
        pages += 1
        site.ask("generate")  # what comes later is not on an older page
        if not page.older:
            break
        before = page.older
    assert sorted(shown) == sorted(logged.split())
    assert len(shown) == len(set(shown)) == 29
    assert pages == 8
    times = [entry.commit.time for entry in audit_page(site.repo, PATHS).entries]
    assert times == sorted(times, reverse=True)


@pytest.mark.parametrize("before", ["nonsense", "0" * 40, "main", "--all", "HEAD"])
def test_an_older_page_begins_at_a_change_of_these(site: Site, before: str) -> None:
    with pytest.raises(Error, match="expected the address of the link to older changes"):
        audit_page(site.repo, PATHS, before)
    elsewhere = site.git("rev-parse", "audit").strip()
    with pytest.raises(Error, match="expected the address"):
        audit_page(site.repo, PATHS, elsewhere)


def test_a_commit_with_very_many_files_says_only_their_number(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """git takes long to compare them: this page once needed over a minute for commits of 4,000 files."""
    monkeypatch.setattr(audit_tab, "MOST_FILES", 20)
    identifier = site.ask("generate", "analyse")
    site.report(*[(identifier, job(f"j{number}", "running", 1)) for number in range(20)])
    site.report(*[(identifier, job(f"j{number}", "running", 2)) for number in range(21)])
    site.report(*[(identifier, job(f"j{number}", "succeeded", 3)) for number in range(21)])  # 23 files move, too
    archived, large, small, *_ = audit_page(site.repo, {"backends/tpp": ["active", "archive"]}).entries
    assert (archived.changes.files, archived.changes.lines) == (46, ())
    assert (large.changes.files, large.changes.lines) == (21, ())
    assert (small.changes.files, len(small.changes.jobs)) == (0, 20)


def test_files_that_only_moved_are_counted(site: Site) -> None:
    identifier = site.ask("generate", "analyse")
    running = [(identifier, job(f"j{number}", "succeeded", 1)) for number in range(30)]
    site.report(*running, (identifier, job("last", "running", 1, "analyse")))
    site.report(*running, (identifier, job("last", "failed", 2, "analyse")))
    changes = audit_page(site.repo, {"backends/tpp": ["active", "archive"]}).entries[0].changes
    assert (changes.archived, changes.restored, changes.more) == (32, 0, 0)  # 30 jobs, the request and its pipeline
    assert changes.jobs == {"last": "failed"}
    text = "\n".join(changes.lines)
    assert "+status: failed" in text
    assert "rename" not in text
    assert "similarity" not in text
    assert len(changes.lines) < 30


def test_a_report_is_told_by_the_jobs_of_the_page(site: Site) -> None:
    first, second, third = (site.ask("generate", "analyse") for _ in range(3))
    site.report(
        (first, job("a", "running", 1)),
        (first, job("b", "pending", 1, "analyse")),
        *((other, job(f"{other}{number}", "pending", 1)) for other in (second, third) for number in range(4)),
    )
    paths = [path.rpartition("/jobs/")[0] for path in site.files() if path.endswith("/jobs/a.yaml")]
    entry = audit_page(site.repo, {"backends/tpp": paths}).entries[0]
    assert entry.commit.subject == "tpp reported 10 jobs"
    assert entry.own_subject({"a": "generate", "b": "analyse"}) == "tpp reported generate running, analyse pending"
    assert entry.other_requests == 2
    assert entry.own_subject(None) == entry.commit.subject
    own = audit_page(site.repo, {"backends/tpp": [f"{paths[0]}/jobs/a.yaml"]}).entries[0]
    assert own.own_subject({"a": "generate"}) == "tpp reported generate running"


def test_long_changes_are_cut_with_the_number_of_lines(site: Site) -> None:
    identifier = site.ask("generate")
    site.report(*((identifier, job(f"j{number}", "running", 1, message="x" * 500)) for number in range(300)))
    changes = audit_page(site.repo, {"backends/tpp": ["active"]}).entries[0].changes
    whole = subprocess.run(
        ["git", "-C", site.path, "show", "-U1", "--format=", "backends/tpp"], capture_output=True, text=True, check=True
    ).stdout
    lines = [line for line in whole.splitlines() if not line.startswith(("diff ", "index ", "new file"))]
    assert changes.more > 0
    assert len(changes.lines) + changes.more == len(lines)
    assert sum(len(line) + 1 for line in changes.lines) <= MOST_BYTES


def test_of_a_large_file_only_the_name_is_shown(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each request of a study has its whole pipeline: a page of 50 once read more than 100 MB."""
    monkeypatch.setattr(audit_tab, "MOST_FILE_BYTES", 2000)
    pipeline = {"generate": PipelineAction(run="python:v2 " + "x" * 2000)}
    site.do(ALICE, RequestJobs("trends", "tpp", ("generate",), "0" * 40, pipeline))
    lines = audit_page(site.repo, {"backends/tpp": ["active"]}).entries[0].changes.lines
    assert "+requested_actions:" in lines
    assert lines[-1].endswith("/pipeline.yaml is not shown")
    assert "xxx" not in "".join(lines)
    removed = "diff --git a/x.yaml b/x.yaml\ndeleted file mode 100644\nBinary files a/x.yaml and /dev/null differ\n"
    assert commit_changes(removed).lines == ["x.yaml is not shown"]


def test_a_rename_that_is_no_archive_move_is_shown() -> None:
    renamed = "rename from users/a.yaml\nrename to users/b.yaml\n"
    diff = f"diff --git a/users/a.yaml b/users/b.yaml\nsimilarity index 100%\n{renamed}"
    changes = commit_changes(diff)
    assert changes.lines == ["rename from users/a.yaml", "rename to users/b.yaml"]
    assert (changes.archived, changes.restored) == (0, 0)


def test_a_move_out_of_the_archive_is_counted() -> None:
    diff = (
        "diff --git a/x b/y\nsimilarity index 100%\nrename from archive/2026/11/27/x\nrename to active/2026-11-27/x\n"
    )
    assert commit_changes(diff).restored == 1
