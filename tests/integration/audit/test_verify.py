"""An honest history has no fault; each way of tampering with one has its own."""

import subprocess
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from jobserver.audit.log import LogFilter, log
from jobserver.audit.verify import verify
from jobserver.domain.backends import AddBackend, Backend
from jobserver.domain.base.permissions import Actor, Role
from jobserver.domain.base.state import Change, Changes
from jobserver.domain.job_requests.requests import CancelJobs
from jobserver.domain.orgs import AddOrg
from jobserver.domain.projects import AddProject, SetProjectMember
from jobserver.domain.users import AddUser, AddUserToken, RevokeUserToken, User
from jobserver.errors import Error
from jobserver.store.keys.rotation import rotate, settle
from jobserver.store.keys.signing import SigningKey
from tests.integration.audit.tampering import checkpoint, commit, illegal, move, problems
from tests.site import ADMIN, ALICE, START, Site, job


@pytest.fixture(scope="session")
def eventful(tmp_path_factory: pytest.TempPathFactory) -> Site:
    made = Site(tmp_path_factory.mktemp("eventful"))
    made.do(ADMIN, AddBackend("emis", "b" * 64))
    made.do(ADMIN, AddOrg("lab"))
    made.do(ADMIN, AddProject("lab/p"))
    made.do(ADMIN, SetProjectMember("lab/p", "bob", (Role.PROJECT_DEVELOPER,)))
    made.do(ADMIN, AddUserToken("bob", "laptop", "c" * 64))
    made.do(ADMIN, RevokeUserToken("bob", "laptop"))
    first, second = made.ask(), made.ask("generate")
    made.report((first, job("a", "running", 1)), (second, job("b", "pending", 1)))
    made.do(ALICE, CancelJobs(second, "tpp", ("generate",)))
    made.report((first, job("a", "succeeded", 2)), (second, job("b", "failed", 2)))
    made.report((first, job("a", "running", 3)))  # a rerun brings it back
    made.report((first, job("a", "succeeded", 4)))
    checkpoint(made)
    made.close()
    return made


@pytest.fixture
def site(tmp_path: Path, eventful: Site) -> Iterator[Site]:
    made = Site(tmp_path, copy_of=eventful)
    yield made
    made.close()


def test_an_honest_history_verifies_in_place_and_in_a_clone(site: Site, tmp_path: Path) -> None:
    verdict = verify(site.path)
    assert verdict.problems == []
    assert verdict.commits == int(site.git("rev-list", "--count", "--all"))
    subprocess.run(["git", "clone", "-q", site.path, tmp_path / "clone"], check=True)
    assert verify(tmp_path / "clone").problems == []
    assert (
        verify(tmp_path / "clone", witness=site.path, signers=site.git("show", "main:allowed_signers")).problems == []
    )
    signers = tmp_path / "signers"
    signers.write_text(site.git("show", "main:allowed_signers"))
    for sha in site.git("rev-list", "--all").split():
        site.git("-c", f"gpg.ssh.allowedSignersFile={signers}", "verify-commit", sha)


def test_unsigned_commits_that_nobody_pushed(site: Site) -> None:
    sha = commit(site, "main", "main")
    move(site, "main", sha)
    assert f"main {sha[:10]}: is not signed, and no receipt" in problems(site)


def test_a_changed_message_breaks_its_signature(site: Site) -> None:
    raw = site.git("cat-file", "commit", "main").replace("Event: ", "Event: x")
    done = subprocess.run(
        ["git", "-C", site.path, "hash-object", "-t", "commit", "-w", "--stdin"],
        input=raw, capture_output=True, text=True, check=True,
    )  # fmt: skip
    move(site, "main", done.stdout.strip())
    assert "its signature does not match its contents" in problems(site)


def test_a_commit_that_another_key_signed_is_named(site: Site, tmp_path: Path) -> None:
    site.key.unlink()
    SigningKey.create(site.key, "jobserver")
    site.do(ADMIN, AddUser("eve"))
    assert "which is not a key of the server" in problems(site)


def test_a_rollback_a_fork_a_swap_and_a_deletion(site: Site) -> None:
    tips = {branch: site.git("rev-parse", branch).strip() for branch in ("backends/tpp", "backends/emis")}
    move(site, "backends/tpp", "backends/tpp~1")
    assert "backends/tpp" in problems(site)
    assert "rolled back, forked or swapped" in problems(site)
    follow_up = checkpoint(site)
    assert follow_up.strayed == ["backends/tpp"]
    site.ask()  # the server goes on upon the fork
    assert "forked" in problems(site)
    move(site, "backends/tpp", tips["backends/emis"])
    assert "says Branch: backends/emis, but is on backends/tpp" in problems(site)
    site.git("update-ref", "-d", "refs/heads/backends/tpp")
    assert "has this branch, which is gone" in problems(site)
    move(site, "backends/tpp", tips["backends/tpp"])
    assert problems(site) == ""
    site.git("update-ref", "-d", "refs/heads/audit")
    assert "the branch is gone" in problems(site)


def test_a_merge_and_a_strange_branch(site: Site) -> None:
    move(site, "main", commit(site, "main", "main", "backends/tpp"))
    site.git("branch", "feature", "main~1")
    found = problems(site)
    assert "is a merge" in found
    assert "feature" in found


def test_only_a_witness_finds_a_history_that_was_rewritten_whole(site: Site, tmp_path: Path) -> None:
    witness = tmp_path / "witness"
    subprocess.run(["git", "clone", "-q", "--mirror", site.path, witness], check=True)
    site.ask()
    assert verify(site.path, witness=witness).problems == []
    # Whoever has the key and the disk rewrites everything, audit included.
    move(site, "backends/tpp", "backends/tpp~2")
    move(site, "audit", "audit~1")
    assert problems(site) == ""
    assert "is ahead" in problems(site, witness=witness)
    site.ask("generate")
    assert "has another history" in problems(site, witness=witness)
    site.git("update-ref", "-d", "refs/heads/backends/emis")
    assert "has this branch, which is gone" in problems(site, witness=witness)


def test_a_signed_commit_that_was_never_legal(site: Site) -> None:
    """The rules are replayed, so a server that was tricked is found too."""
    bob = Actor(ALICE.kind, "bob")  # may do nothing on a workspace without a project
    identifier = site.ask()
    stored = site.repo.writer.read("backends/tpp", lambda state: state.find(identifier))
    assert stored is not None
    after = stored.request.model_copy(update={"cancelled_actions": ("generate",)})
    change = Change(stored.place.request, stored.request, after)
    trailers = (("Job-Request", stored.request.identifier), ("Workspace", "trends"))
    illegal(site, bob, Changes("backends/tpp", "job-request.cancelled", "x", (change,), trailers=trailers))
    assert "bob cannot update the job-request" in problems(site)


def test_a_commit_that_says_something_else_than_it_does(site: Site) -> None:
    backend = site.repo.writer.read("main", lambda state: state.backend("tpp"))
    assert isinstance(backend, Backend)
    change = Change("backends/tpp.yaml", backend, backend.model_copy(update={"active": False}))
    illegal(site, ADMIN, Changes("main", "user.created", "x", (change,), trailers=(("Job-Request", "a" * 16),)))
    found = problems(site)
    assert "says Event: user.created, but does something else" in found
    assert f"says Job-Request: {'a' * 16}" in found


def test_rules_of_another_policy_are_not_guessed(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("jobserver.store.write.commit_builder.POLICY", 99)
    site.do(ADMIN, AddUser("eve"))
    assert "was made by a newer jobserver (Policy: 99; this version knows up to 4): upgrade jobserver" in problems(site)


def test_since_a_commit_only_what_came_after_it_is_judged(site: Site) -> None:
    start = site.git("rev-parse", "audit").strip()
    site.ask()
    assert verify(site.path, since=start).commits == 1
    sha = commit(site, "main", "main")
    move(site, "main", sha)
    assert sha[:10] in problems(site, since=start)
    assert sha[:10] not in problems(site, since=sha)
    elsewhere = commit(site, "main", "main")
    for wrong in ("nonsense", "0" * 40, "--all", elsewhere):
        with pytest.raises(Error, match=f"^--since: expected a commit.*, found '{wrong}'"):
            verify(site.path, since=wrong)


def test_keys_follow_each_other(site: Site, tmp_path: Path) -> None:
    old = site.repo.writer.keys.current().fingerprint
    new = rotate(site.repo, site.clock())
    assert new != old
    site.do(ADMIN, AddUser("eve"))
    site.ask()
    assert verify(site.path).problems == []
    signers = tmp_path / "signers"
    signers.write_text(site.git("show", "main:allowed_signers"))
    for sha in site.git("rev-list", "--all").split():
        site.git("-c", f"gpg.ssh.allowedSignersFile={signers}", "verify-commit", sha)
    for branch in ("audit", "backends/tpp", "backends/emis"):
        assert site.git("show", f"{branch}:allowed_signers") == signers.read_text()


def test_an_old_key_signs_nothing_more(site: Site, tmp_path: Path) -> None:
    stolen = tmp_path / "stolen"
    stolen.write_bytes(site.key.read_bytes())
    stolen.chmod(0o600)
    rotate(site.repo, site.clock())
    settle(site.repo, site.clock())
    new = site.key.read_bytes()
    site.key.write_bytes(stolen.read_bytes())
    site.now -= timedelta(hours=1)
    site.do(ADMIN, AddUser("eve"))  # its time says that the key was still valid
    assert problems(site).endswith("which ended before")
    site.now += timedelta(hours=2)
    site.do(ADMIN, AddUser("mallory"))
    assert "which was not valid at" in problems(site)
    site.key.write_bytes(new)


def test_a_stolen_key_counts_until_the_last_checkpoint(site: Site) -> None:
    bad = site.repo.writer.keys.current().fingerprint
    last = site.repo.writer.read("audit", lambda state: state.checkpoint())
    assert last is not None
    site.now = last.made_at
    site.clock()
    site.clock()
    site.do(ADMIN, AddUser("eve"))  # by whoever has the key, after the checkpoint
    rotate(site.repo, site.clock(), bad, last.made_at)
    found = problems(site)
    assert found.count("which was not valid at") == 1
    site.do(ADMIN, AddUser("mallory"))
    assert problems(site) == found


@pytest.mark.parametrize("after", ["key", "main", "swap"])
def test_an_interrupted_rotation_is_completed_or_never_was(
    site: Site, monkeypatch: pytest.MonkeyPatch, after: str
) -> None:
    class Cut(Exception):
        pass

    real = site.repo.writer.commit_files

    def commit_files(branch: str, *arguments: object, **options: object) -> None:
        if after == "key" or (after == "main" and branch != "main"):
            raise Cut
        real(branch, *arguments, **options)  # type: ignore[arg-type]

    def replace(self: Path, target: Path) -> Path:
        raise Cut

    with monkeypatch.context() as patch, pytest.raises(Cut):
        patch.setattr(site.repo.writer, "commit_files", commit_files)
        if after == "swap":
            patch.setattr(Path, "replace", replace)
        rotate(site.repo, site.clock())
    settle(site.repo, site.clock())
    site.do(ADMIN, AddUser("eve"))
    site.ask()
    assert problems(site) == ""
    assert site.git("show", "main:allowed_signers").count("ssh-ed25519") == (1 if after == "key" else 2)
    assert not Path(f"{site.key}.new").exists()


def test_the_log_is_filtered_by_each_field(site: Site) -> None:
    everything = list(log(site.path, LogFilter()))
    assert len(everything) == int(site.git("rev-list", "--count", "--all"))
    assert [entry.at for entry in everything] == sorted((entry.at for entry in everything), reverse=True)
    identifier = next(entry.requests[0] for entry in everything if entry.event == "job-request.created")
    story = [entry.event for entry in log(site.path, LogFilter(request=identifier))]
    assert story[-1] == "job-request.created"
    assert set(story[:-1]) <= {"jobs.updated", "job-request.cancelled"}
    assert {entry.actor for entry in log(site.path, LogFilter(actor="alice"))} == {"user/alice"}
    assert {entry.branch for entry in log(site.path, LogFilter(backend="tpp"))} == {"backends/tpp"}
    assert {entry.event for entry in log(site.path, LogFilter(event="user"))} >= {"user.created", "user.token-created"}
    assert all("trends" in entry.workspaces for entry in log(site.path, LogFilter(workspace="trends")))
    assert list(log(site.path, LogFilter(until=START.replace(year=2020)))) == []


def test_new_rules_do_not_judge_what_older_ones_allowed(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    change = Change("users/Bob.yaml", None, User(username="Bob"))
    with monkeypatch.context() as older:
        older.setattr("jobserver.store.write.commit_builder.POLICY", 1)
        illegal(site, ADMIN, Changes("main", "user.created", "admin added Bob", (change,)))
    assert problems(site) == ""
    change = Change("users/BOB.yaml", None, User(username="BOB"))
    illegal(site, ADMIN, Changes("main", "user.created", "admin added BOB", (change,)))
    assert "usernames must differ in more than upper and lower case" in problems(site)
