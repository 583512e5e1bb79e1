"""The gate on a real repository, judged by the system's git."""

import threading
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from jobserver.domain.backends import AddBackend, DeactivateBackend
from jobserver.domain.base.permissions import Actor, ActorKind, Role
from jobserver.domain.job_requests.requests import CancelJobs, RequestJobs
from jobserver.domain.orgs import AddOrg
from jobserver.domain.plan import Command
from jobserver.domain.users import AddUser, DisableUser
from jobserver.domain.workspaces import AddWorkspace
from jobserver.errors import Code, Error
from jobserver.service.budgets import WriteBudget
from jobserver.service.writes.gate import Gate
from jobserver.service.writes.idempotency import Key
from jobserver.store import repo
from jobserver.store.git import repack
from jobserver.store.git.packs import Pack
from jobserver.store.repo import StateRepo
from tests.site import ADMIN, ALICE, PIPELINE, TEMPLATES, Seeded, Site, job


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    made = Site(tmp_path)
    yield made
    made.repo.close()
    assert made.git("fsck", "--full", "--strict") == ""


def test_a_request_travels_there_and_back(site: Site) -> None:
    identifier = site.ask()
    active = f"active/2026-11-24/{identifier}"
    assert site.files() == ["README.md", f"{active}/pipeline.yaml", f"{active}/request.yaml", "allowed_signers"]
    site.report((identifier, job("j1", "running", 1)), (identifier, job("j2", "pending", 1, "analyse")))
    written = site.report((identifier, job("j1", "succeeded", 2)), (identifier, job("j2", "succeeded", 2, "analyse")))
    folder = f"archive/2026/11/24/{identifier}"
    assert [path for path in site.files() if identifier in path] == [
        f"{folder}/jobs/j1.yaml",
        f"{folder}/jobs/j2.yaml",
        f"{folder}/pipeline.yaml",
        f"{folder}/request.yaml",
    ]
    assert site.git("rev-parse", "backends/tpp").strip() == written.commit
    body = site.git("log", "-1", "--format=%an <%ae>|%cn <%ce>|%B", "backends/tpp")
    assert body.startswith("tpp <tpp@backends.jobs.example>|jobserver <jobserver@jobs.example>|tpp reported")
    for trailer in (
        "Event: jobs.updated",
        "Actor: backend/tpp",
        "Branch: backends/tpp",
        "Workspace: trends",
        "Policy: 4",
    ):
        assert f"\n{trailer}\n" in body
    assert f"\nJob-Request: {identifier}\n" in body


def test_a_commit_is_charged_by_what_it_adds_and_a_repeated_one_not_at_all(site: Site) -> None:
    """Found: one person without roles made 1,158 commits on main in five seconds."""
    site.gate.budget = WriteBudget(people=2, stored_mib=1)
    key = Key.of(ADMIN, "POST", "/", "once", b"")
    for _ in range(5):
        done = site.gate.submit(ADMIN, AddUser("eve"), "test", key)
    assert done.commit == site.git("rev-parse", "main").strip()
    for _ in range(5):
        with pytest.raises(Error, match="eve"):
            site.gate.submit(ADMIN, AddUser("eve"), "test")
    written = site.gate.submit(ADMIN, AddUser("dan"), "test")
    assert 500 < written.size < 5000
    with pytest.raises(Error, match="user/admin has used up the 2 writes") as refused:
        site.gate.submit(ADMIN, AddUser("fay"), "test")
    assert refused.value.code is Code.TOO_MANY
    assert site.git("rev-parse", "main").strip() == written.commit
    site.ask()
    site.gate.close()


def test_every_commit_verifies_and_history_is_linear(site: Site, tmp_path: Path) -> None:
    site.ask()
    for branch in ("main", "backends/tpp"):
        signers = tmp_path / "signers"
        signers.write_text(site.git("show", f"{branch}:allowed_signers"))
        for commit in site.git("rev-list", branch).split():
            site.git("-c", f"gpg.ssh.allowedSignersFile={signers}", "verify-commit", commit)
        assert site.git("rev-list", "--merges", branch) == ""
    assert (tmp_path / "state.key").stat().st_mode & 0o777 == 0o600


def test_a_finished_job_is_reopened_by_news_only(site: Site) -> None:
    identifier = site.ask("generate")
    site.report((identifier, job("j1", "succeeded", 5)))
    assert not site.report((identifier, job("j1", "running", 4))).changed
    assert not site.report((identifier, job("j1", "running", 5))).changed
    assert site.report((identifier, job("j1", "running", 6))).changed
    assert f"active/2026-11-24/{identifier}/jobs/j1.yaml" in site.files()
    assert not [path for path in site.files() if path.startswith("archive/")]


def test_a_report_that_changes_nothing_writes_nothing(site: Site) -> None:
    identifier = site.ask()
    first = site.report((identifier, job("j1", "running", 1)))
    again = site.report((identifier, job("j1", "running", 1)))
    assert not again.changed
    assert again.commit == first.commit


def test_interleaved_unknown_and_absent_jobs(site: Site) -> None:
    one, two = site.ask(), site.ask()
    unknown = "zzzzzzzzzzzzzzzz"
    written = site.report(
        (one, job("a1", "running", 1)),
        (two, job("b1", "running", 1)),
        (unknown, job("c1", "running", 1)),
        (one, job("a2", "pending", 1, "analyse")),
    )
    assert written.changes.result["ignored"] == [unknown]
    assert sum("/jobs/" in path for path in site.files()) == 3
    site.report((one, job("a1", "running", 2)))
    assert not [path for path in site.files() if path.endswith("a2.yaml")]
    site.report((one, job("a3", "running", 1)))  # older than what is stored: removes nothing
    assert [path for path in site.files() if path.endswith("a1.yaml")]


@pytest.mark.parametrize("before_the_runner_saw_it", [True, False])
def test_cancelling_names_the_actions_that_have_not_finished(site: Site, before_the_runner_saw_it: bool) -> None:
    identifier = site.ask()
    if not before_the_runner_saw_it:
        site.report((identifier, job("j1", "succeeded", 1)), (identifier, job("j2", "running", 1, "analyse")))
    assert site.do(ALICE, CancelJobs(identifier, "tpp")).changed
    text = site.git("show", f"backends/tpp:active/2026-11-24/{identifier}/request.yaml")
    expected = "- generate\n- analyse\n" if before_the_runner_saw_it else "- analyse\n"
    assert f"cancelled_actions:\n{expected}force_run" in text
    assert not site.do(ALICE, CancelJobs(identifier, "tpp")).changed


def test_a_message_over_8_kib_is_cut(site: Site) -> None:
    identifier = site.ask("generate")
    site.report((identifier, job("j1", "running", 1, message="ä" * 9000)))
    text = site.git("show", f"backends/tpp:active/2026-11-24/{identifier}/jobs/j1.yaml")
    assert "[cut by the server at 8 KiB]" in text


@pytest.mark.parametrize(
    ("actor", "command", "code"),
    [
        (Actor(ActorKind.USER, "bob"), AddWorkspace("w", "study", "main"), Code.FORBIDDEN),
        (Actor(ActorKind.USER, "nobody"), AddOrg("o"), Code.FORBIDDEN),
        (ALICE, AddBackend("emis", "b" * 64), Code.FORBIDDEN),
        (ALICE, AddWorkspace("jobs", "study", "main"), Code.INVALID),
        (ALICE, AddWorkspace("trends", "study", "main"), Code.CONFLICT),
        (ALICE, AddWorkspace("Bad Name", "study", "main"), Code.INVALID),
        (ALICE, AddWorkspace("w", "study", "main", project="o/none"), Code.INVALID),
        (ADMIN, AddUser("carol", roles=(Role.PROJECT_DEVELOPER,)), Code.INVALID),
        (ALICE, RequestJobs("none", "tpp", ("a",), "0" * 40, PIPELINE), Code.NOT_FOUND),
        (ALICE, RequestJobs("trends", "none", ("a",), "0" * 40, PIPELINE), Code.NOT_FOUND),
        (ALICE, RequestJobs("trends", "tpp", ("nope",), "0" * 40, PIPELINE), Code.INVALID),
        (ALICE, RequestJobs("trends", "tpp", ("run_all",), "0" * 40, PIPELINE, database_name="x"), Code.INVALID),
        (
            Actor(ActorKind.USER, "bob"),
            RequestJobs("trends", "tpp", ("run_all",), "0" * 40, PIPELINE),
            Code.FORBIDDEN,
        ),
        (ALICE, CancelJobs("2222222222222222", "tpp"), Code.NOT_FOUND),
    ],
)
def test_refusals_change_nothing(site: Site, actor: Actor, command: Command, code: Code) -> None:
    site.ask()
    before = site.git("for-each-ref")
    with pytest.raises(Error) as caught:
        site.do(actor, command)
    assert caught.value.code is code
    assert site.git("for-each-ref") == before


def test_a_disabled_user_and_an_inactive_backend_may_nothing(site: Site) -> None:
    identifier = site.ask()
    site.do(ADMIN, DisableUser("alice"))
    with pytest.raises(Error, match="not an active user"):
        site.do(ALICE, CancelJobs(identifier, "tpp"))
    site.do(ADMIN, DeactivateBackend("tpp"))
    with pytest.raises(Error, match="not an active backend"):
        site.report((identifier, job("j1", "running", 1)))


def test_the_same_job_under_two_requests_is_refused(site: Site) -> None:
    one, two = site.ask(), site.ask()
    site.report((one, job("j1", "running", 1)))
    with pytest.raises(Error, match="belongs to job request"):
        site.report((two, job("j1", "running", 1)))
    with pytest.raises(Error, match="two job requests"):
        site.report((one, job("j9", "running", 1)), (two, job("j9", "running", 1)))


def test_many_threads_each_land_once_beside_a_second_process(site: Site, tmp_path: Path) -> None:
    other = StateRepo(site.path, site.key, "jobs.example", TEMPLATES)
    gates = [site.gate, Gate(other, site.clock, Seeded(2))]
    found: list[str] = []

    def work(gate: Gate) -> None:
        for _ in range(10):
            command = RequestJobs("trends", "tpp", ("run_all",), "0" * 40, PIPELINE)
            found.append(gate.submit(ALICE, command, "test").changes.result["identifier"])

    threads = [threading.Thread(target=work, args=(gates[at % 2],)) for at in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    other.close()
    assert len(set(found)) == 120
    stored = [path.split("/")[2] for path in site.files() if path.endswith("request.yaml")]
    assert sorted(stored) == sorted(found)
    assert len(site.git("rev-list", "backends/tpp").split()) == 121


def test_a_backend_whose_branch_a_crash_forgot_gets_it_when_it_is_needed(site: Site) -> None:
    site.git("update-ref", "refs/kept/tpp", "refs/heads/backends/tpp")
    site.git("update-ref", "-d", "refs/heads/backends/tpp")
    repo = StateRepo(site.path, site.key, "jobs.example", TEMPLATES)  # the next process
    gate = Gate(repo, site.clock, Seeded(2))
    command = RequestJobs("trends", "tpp", ("run_all",), "0" * 40, PIPELINE)
    identifier = gate.submit(ALICE, command, "test").changes.result["identifier"]
    gate.close()
    repo.close()
    assert f"active/2026-11-24/{identifier}/request.yaml" in site.files()
    first = site.git("rev-list", "--max-parents=0", "backends/tpp").strip()
    assert "Event: branch.opened" in site.git("log", "-1", "--format=%B", first)


def test_a_branch_that_is_gone_is_not_made_again(site: Site) -> None:
    """Neither does a decision on nothing become its first commit."""
    site.ask()
    site.git("update-ref", "refs/kept/tpp", "refs/heads/backends/tpp")
    site.git("update-ref", "-d", "refs/heads/backends/tpp")
    for _ in range(2):
        with pytest.raises(Error, match="restore it from a copy") as refused:
            site.ask()
        assert refused.value.code is Code.UNAVAILABLE
    assert "heads/backends/tpp" not in site.git("for-each-ref")


def test_ids_are_later_even_if_the_clock_stands_still_or_goes_back(site: Site) -> None:
    made = [site.ask()]
    for hours in (0, 1, 2):
        site.now -= timedelta(hours=hours, seconds=1)
        made.append(site.ask())
    assert made == sorted(set(made))


def test_maintenance_beside_writes_loses_nothing(site: Site) -> None:
    found = [site.ask() for _ in range(3)]
    site.repo.maintain()
    found += [site.ask() for _ in range(3)]
    assert sum(path.endswith("request.yaml") for path in site.files()) == len(found)


def test_writes_go_on_while_maintenance_runs(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """Found by a benchmark: each maintenance held all writes up for as long as git repacked."""
    found = [site.ask() for _ in range(3)]
    real = repo.git

    def slow(path: Path, *arguments: str, **how: Any) -> str:
        if arguments[0] in ("pack-objects", "commit-graph"):
            writer = threading.Thread(target=lambda: found.append(site.ask()))
            writer.start()
            writer.join(30)
            assert not writer.is_alive(), f"git {arguments[0]} holds a write up"
        return real(path, *arguments, **how)

    monkeypatch.setattr(repo, "git", slow)
    monkeypatch.setattr(repack, "git", slow)
    site.repo.maintain()
    assert sum(path.endswith("request.yaml") for path in site.files()) == len(found) == 5


def test_a_repack_between_a_pack_and_the_move_of_its_branch_loses_nothing(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    refs = site.repo.writer.refs
    real = refs.move

    def move(branch: str, old: str | None, new: str) -> bool:
        repack.repack(site.path)
        return real(branch, old, new)

    monkeypatch.setattr(refs, "move", move)
    found = [site.ask() for _ in range(5)]
    assert sum(path.endswith("request.yaml") for path in site.files()) == len(found)


def test_a_full_disk_refuses_and_heals(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    site.ask()
    before = site.git("for-each-ref")
    with monkeypatch.context() as patched:

        def full(*_: object, **more: object) -> int:
            raise OSError(28, "No space left on device")

        patched.setattr("jobserver.store.git.packs.create", full)
        with pytest.raises(Error, match="the disk is full") as caught:
            site.ask()
    assert caught.value.code is Code.UNAVAILABLE
    assert site.git("for-each-ref") == before
    site.ask()


def test_times_never_go_back(site: Site) -> None:
    site.ask()
    site.now -= timedelta(days=2)
    site.ask()
    times = [int(time) for time in site.git("log", "--reverse", "--format=%ct", "backends/tpp").split()]
    assert times == sorted(times)


@pytest.mark.parametrize("slug", ["", "../main", "../../../HEAD", "a\0b", "TPP", "tpp/", "é", "a" * 5000])
def test_a_backend_that_can_be_none_is_no_path(site: Site, slug: str) -> None:
    """Found by odd input: the name of a backend's branch became a path before it was looked at."""
    before = site.git("for-each-ref")
    with pytest.raises(Error) as refused:
        site.do(ALICE, RequestJobs("trends", slug, ("generate",), "0" * 40, PIPELINE))
    assert refused.value.code in (Code.NOT_FOUND, Code.INVALID)
    assert site.git("for-each-ref") == before


def test_a_report_of_very_many_requests_is_one_commit(site: Site) -> None:
    """So many edits of one folder are made by writing it anew, not one after the other; and what is empty goes."""
    identifiers = [site.ask("generate") for _ in range(20)]
    count = len(site.git("rev-list", "backends/tpp").split())
    site.report(*((one, job(f"j{at}", "running", 1)) for at, one in enumerate(identifiers)))
    assert len(site.git("rev-list", "backends/tpp").split()) == count + 1
    assert all(
        any(one in path and f"/jobs/j{at}.yaml" in path for path in site.files()) for at, one in enumerate(identifiers)
    )
    site.report(*((one, job(f"j{at}", "succeeded", 2)) for at, one in enumerate(identifiers)))
    assert [path for path in site.files() if path.startswith("active/")] == []
    assert site.git("fsck", "--full", "--strict") == ""


def test_a_rerun_brings_no_second_copy_of_the_pipeline(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    added: list[bytes] = []
    add = Pack.add

    def noted(pack: Pack, kind: int, data: bytes) -> bytes:
        added.append(data)
        return add(pack, kind, data)

    monkeypatch.setattr(Pack, "add", noted)
    site.ask()
    site.ask("generate")
    assert sum(b"python g.py" in data for data in added) == 1
    site.do(ALICE, RequestJobs("trends", "tpp", ("other",), "1" * 40, {"other": PIPELINE["generate"]}))
    assert sum(b"python g.py" in data for data in added) == 2
    shas = {row.split()[2] for row in site.git("ls-tree", "-r", "backends/tpp").splitlines() if "pipeline.yaml" in row}
    assert len(shas) == 2
    assert site.git("fsck", "--full", "--strict") == ""


def test_a_pipeline_that_did_not_land_is_written_again(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is left out of a pack has to be on a branch: a batch that failed may be swept away."""
    save = Pack.save

    def full(*_: object, **more: object) -> Path:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Pack, "save", full)
    with pytest.raises(Error):
        site.ask()
    monkeypatch.setattr(Pack, "save", save)
    site.ask()
    assert site.git("fsck", "--full", "--strict") == ""
    assert "python g.py" in site.git("show", f"backends/tpp:{next(p for p in site.files() if 'pipeline' in p)}")
