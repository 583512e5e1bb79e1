"""The writer builds on what a server made or judged, by whichever way that came, and on nothing else."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from jobserver.audit.verify import verify
from jobserver.domain.job_requests.requests import RequestJobs
from jobserver.domain.users import AddUser
from jobserver.errors import Code, Error
from jobserver.index.index import Index
from jobserver.service import health
from jobserver.service.background.checkpointer import Checkpointer
from jobserver.service.writes.branch_guard import BranchGuard, guard_branches
from jobserver.service.writes.gate import Gate
from jobserver.service.writes.idempotency import Key
from jobserver.store.keys.rotation import rotate
from jobserver.store.keys.signing import SigningKey
from jobserver.store.repo import StateRepo
from tests.integration.audit.tampering import commit, plant, unpack
from tests.integration.service.push.pushing import EVE, Push, folder_of, text
from tests.site import ADMIN, ALICE, PIPELINE, TEMPLATES, TPP, Seeded, Site, job

BRANCHES = ["main", "backends/tpp"]


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    made = Site(tmp_path)
    made.report((made.ask(), job("a", "running", 1)))
    Checkpointer(made.repo, made.gate).checkpoint()
    yield made
    made.close()


@contextmanager
def another(site: Site) -> Iterator[tuple[StateRepo, Gate]]:
    """Another process on this machine: a second server, or a command."""
    repo = StateRepo(site.path, site.key, "jobs.example", TEMPLATES)
    gate = Gate(repo, site.clock, Seeded(2))
    try:
        yield repo, gate
    finally:
        gate.close()
        repo.close()


def ask(gate: Gate) -> str:
    command = RequestJobs("trends", "tpp", ("run_all",), "0" * 40, PIPELINE)
    return gate.submit(ALICE, command, "test").commit


def put(site: Site, branch: str, tip: str) -> None:
    """As somebody with the disk does."""
    site.git("update-ref", f"refs/heads/{branch}", tip)


def refused(site: Site, gate: Gate, branch: str) -> str:
    """With what; nothing is written."""
    before = site.git("for-each-ref")
    with pytest.raises(Error) as error:
        gate.submit(ADMIN, AddUser("zed"), "test") if branch == "main" else ask(gate)
    assert error.value.code is Code.UNAVAILABLE
    assert site.git("for-each-ref") == before
    return str(error.value)


@pytest.mark.parametrize("branch", BRANCHES)
def test_nothing_is_built_on_a_commit_that_nobody_signed(site: Site, branch: str) -> None:
    good = site.git("rev-parse", branch).strip()
    put(site, branch, bad := commit(site, branch, branch))
    for_all = f"{branch}: has {bad[:10]}, which no server made or judged"
    assert for_all in refused(site, site.gate, branch)
    with another(site) as (_, gate):
        assert for_all in refused(site, gate, branch)
    put(site, branch, good)  # as the message and docs/operations.md have it
    ask(site.gate)
    site.do(ADMIN, AddUser("zed"))
    assert verify(site.path).problems == []


def test_no_push_is_taken_on_top_of_it_and_no_checkpoint_vouches_for_it(site: Site) -> None:
    good = site.git("rev-parse", "backends/tpp").strip()
    put(site, "backends/tpp", commit(site, "backends/tpp", "backends/tpp"))
    push = Push(site, "backends/tpp")
    push.commit(("x", None))
    with pytest.raises(Error, match="which no server made or judged"):
        push.send(ADMIN)
    site.do(ADMIN, AddUser("zed"))
    checkpointer = Checkpointer(site.repo, site.gate)
    assert checkpointer.checkpoint()
    assert checkpointer.strayed == ["backends/tpp"]
    assert good in site.git("show", "audit:checkpoint.yaml")


@pytest.mark.parametrize("branch", BRANCHES)
def test_nothing_is_built_on_a_branch_that_went_back(site: Site, branch: str) -> None:
    put(site, branch, f"{branch}~1")
    assert branch in refused(site, site.gate, branch)
    with another(site) as (_, gate):  # which knows it by the last checkpoint
        assert branch in refused(site, gate, branch)


def test_nothing_is_built_on_what_was_signed_for_another_branch(site: Site) -> None:
    put(site, "backends/tpp", "main")
    refused(site, site.gate, "backends/tpp")


def test_keys_that_an_unsigned_commit_names_sign_nothing(site: Site) -> None:
    push = Push(site, "main")
    push.commit(("allowed_signers", SigningKey.create(site.path.parent / "mine", "jobserver").allowed_signer))
    push.land()
    refused(site, site.gate, "main")
    refused(site, site.gate, "backends/tpp")  # whose judge is main


@pytest.mark.parametrize("branch", ["audit", "backends/tpp", "main"])
def test_a_branch_that_is_gone_is_not_made_anew(site: Site, branch: str) -> None:
    site.do(ADMIN, AddUser("yan"))
    site.git("update-ref", "-d", f"refs/heads/{branch}")
    with pytest.raises(Error, match="is gone"):
        if branch == "main":
            site.do(ADMIN, AddUser("zed"))
        elif branch == "audit":
            Checkpointer(site.repo, site.gate).checkpoint()
        else:
            ask(site.gate)
    assert "is gone" in guard_branches(site.repo).problems()[branch]
    if branch != "backends/tpp":
        with pytest.raises(Error, match="is gone"):
            StateRepo.create(site.path, site.key, "jobs.example", TEMPLATES, site.now)
        with pytest.raises(Error, match="is gone"):
            site.repo.check_branches()
    else:
        with another(site) as (_, gate), pytest.raises(Error, match="is gone"):
            ask(gate)
    assert branch not in site.repo.writer.refs.branches()


def test_all_that_others_do_by_the_rules_is_built_on(site: Site) -> None:
    """Another process, pushes with their receipts, and more of each on top of the other."""
    with another(site) as (_, gate):
        for number in range(3):
            ask(gate)
            ask(site.gate)
            gate.submit(ADMIN, AddUser(f"u{number}"), "test")
            push = Push(site, "main")
            push.commit((f"users/v{number}.yaml", EVE.replace("eve", f"v{number}")), at=site.clock().isoformat())
            push.commit((f"users/w{number}.yaml", EVE.replace("eve", f"w{number}")), at=site.clock().isoformat())
            push.send(ADMIN)
            push.land()
            site.do(ADMIN, AddUser(f"x{number}"))
    with another(site) as (_, gate):
        ask(gate)
    folder = folder_of(site, site.ask())
    push = Push(site, "backends/tpp")
    push.commit((f"{folder}/jobs/z.yaml", text(job("z", "running", 2))), at=site.clock().isoformat())
    push.send(TPP)
    push.land()
    ask(site.gate)
    assert guard_branches(site.repo).inspect() == {}
    assert verify(site.path).problems == []


def test_a_push_without_its_receipt_is_not(site: Site) -> None:
    push = Push(site, "main")
    push.commit(("users/eve.yaml", EVE))
    push.land()
    assert "no receipt covers it" in refused(site, site.gate, "main")


def test_keys_that_another_process_changed(site: Site) -> None:
    with another(site) as (repo, gate):
        rotate(repo, site.clock(), by=ADMIN)
        ask(gate)
        ask(site.gate)
        rotate(repo, site.clock(), repo.writer.keys.current().fingerprint, by=ADMIN)
        ask(site.gate)
    with another(site) as (_, gate):
        ask(gate)
    assert verify(site.path).problems == []


def test_a_key_revoked_for_earlier_leaves_branches_that_are_written(site: Site) -> None:
    """What the stolen key signed since counts no more, and yet the new one goes on from there."""
    stolen_at = site.now
    ask(site.gate)
    site.do(ADMIN, AddUser("zed"))
    with another(site) as (repo, gate):
        rotate(repo, site.clock(), repo.writer.keys.current().fingerprint, stolen_at, ADMIN)
        ask(gate)
    ask(site.gate)
    with another(site) as (_, gate):
        ask(gate)


def test_the_branches_that_a_process_left_are_not_looked_at(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    ask(site.gate)
    monkeypatch.setattr(BranchGuard, "_problem", lambda *_: pytest.fail("looked at"))
    ask(site.gate)
    site.do(ADMIN, AddUser("zed"))
    ask(site.gate)
    site.repo.writer._forget()
    ask(site.gate)


def test_a_start_looks_at_all_since_the_last_checkpoint(site: Site) -> None:
    """What an older server built on is below what it signed."""
    standing = guard_branches(site.repo)
    assert standing.inspect() == {}
    put(site, "backends/tpp", bad := commit(site, "backends/tpp", "backends/tpp"))
    site.repo.writer.tips.mark_good("backends/tpp", bad)
    ask(site.gate)
    site.git("update-ref", replaced := "refs/replace/" + "1" * 40, "main")
    site.git("update-ref", "refs/tags/v1", "main")
    with another(site) as (repo, gate):
        ask(gate)
        found = guard_branches(repo).inspect()
        assert guard_branches(repo).idle == ["refs/tags/v1"]
    assert bad[:10] in found["backends/tpp"]
    assert "in place of another object" in found[replaced]
    assert len(found) == 2


def test_a_branch_that_was_repaired_is_not_named_any_more(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """`/health-check/` said until the next start that nothing is written, while it was."""
    put(site, "backends/tpp", commit(site, "backends/tpp", "backends/tpp"))
    site.git("update-ref", replaced := "refs/replace/" + "1" * 40, "main")
    with another(site) as (repo, _):
        standing = guard_branches(repo)
        assert set(standing.inspect()) == {"backends/tpp", replaced}
        put(site, "backends/tpp", "backends/tpp~1")
        site.git("update-ref", "-d", replaced)
        assert set(standing.problems()) == {"backends/tpp", replaced}  # not looked at for each that asks
        monkeypatch.setattr(standing, "_inspect_at", 0.0)
        assert standing.problems() == {}


@pytest.mark.parametrize("what", ["1" * 40, "main:README.md"])
def test_a_branch_of_another_name_stops_nothing_whatever_it_is_of(site: Site, what: str) -> None:
    """A start ended with "a bug", and each POST with an Idempotency-Key with a 500."""
    sha = what if what.isdigit() else site.git("rev-parse", what).strip()
    (site.path / "refs" / "heads" / "evil").write_text(f"{sha}\n")
    rotate(site.repo, site.clock(), by=ADMIN)
    key = Key.of(ALICE, "POST", "/", "k", b"")
    site.gate.submit(ADMIN, AddUser("zed"), "test", key)
    assert guard_branches(site.repo).inspect() == {}
    assert guard_branches(site.repo).idle == ["refs/heads/evil"]


def test_a_start_hashes_all_since_the_last_checkpoint(site: Site) -> None:
    folder = folder_of(site, site.ask())
    unpack(site)
    blob = site.git("rev-parse", f"backends/tpp:{folder}/request.yaml").strip()
    plant(site, blob, b"version: 1\n")
    with another(site) as (repo, gate):
        standing = guard_branches(repo)
        assert blob in standing.inspect()["objects"]
        Checkpointer(repo, gate).checkpoint()  # which does not have it forgotten
        standing._inspect_at = 0.0
        assert blob in standing.problems()["objects"]


def test_health_names_a_commit_that_nothing_is_built_on(site: Site, tmp_path: Path) -> None:
    index = Index(site.path, site.repo.writer.refs, tmp_path / "index")
    try:
        assert health.check_health(site.repo, index).problems == []
        put(site, "backends/tpp", bad := commit(site, "backends/tpp", "backends/tpp"))
        assert bad[:10] in "".join(health.check_health(site.repo, index).problems)
        put(site, "backends/tpp", "backends/tpp~1")
        assert health.check_health(site.repo, index).problems == []
        site.git("update-ref", "-d", "refs/heads/audit")
        assert "audit: the branch is gone" in "".join(health.check_health(site.repo, index).problems)
    finally:
        index.close()


def test_a_server_does_not_write_where_a_newer_one_did(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """After a downgrade: also if a checkpoint vouches for the tip. Reading goes on."""
    with monkeypatch.context() as newer:
        newer.setattr("jobserver.store.write.commit_builder.POLICY", 99)
        site.do(ADMIN, AddUser("dora"))
        Checkpointer(site.repo, site.gate).checkpoint()
    expected = "was made by a newer jobserver (Policy: 99; this version knows up to 4): upgrade jobserver"
    with another(site) as (repo, gate):
        guard_branches(repo)
        with pytest.raises(Error) as caught:
            gate.submit(ADMIN, AddUser("eve"), "test")
        assert (caught.value.code, caught.value.message) == (Code.UNAVAILABLE, f"{expected}: nothing is written there")
        assert expected in guard_branches(repo).problems()["main"]
        assert repo.writer.read("main", lambda state: state.user("dora")) is not None
