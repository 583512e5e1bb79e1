"""A repository made, opened and given another key, also where something is in the way."""

import os
import re
import subprocess
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from jobserver.audit.verify import verify
from jobserver.domain.base.permissions import Actor, ActorKind
from jobserver.domain.users import AddUser
from jobserver.errors import Code, Error
from jobserver.store import init
from jobserver.store.git.remote import Remote
from jobserver.store.keys import rotation
from jobserver.store.keys.rotation import check_key, ended_at, is_current, rotate, settle
from jobserver.store.keys.signing import SigningKey
from jobserver.store.repo import StateRepo
from tests.site import ADMIN, ALICE, START, TEMPLATES, TPP, Site


def create(path: Path) -> StateRepo:
    return StateRepo.create(path, path.with_name("key"), "jobs.example", TEMPLATES, START)


def test_a_folder_with_something_else_is_no_repository(tmp_path: Path) -> None:
    with pytest.raises(Error, match="is not a git repository: `jobserver init` creates one"):
        StateRepo(tmp_path, tmp_path / "key", "jobs.example", TEMPLATES)
    (tmp_path / "thesis.tex").touch()
    (tmp_path / "file").touch()
    for path in (tmp_path, tmp_path / "file"):
        with pytest.raises(Error, match="contains something else"):
            create(path)


def git(folder: Path, *arguments: str) -> None:
    identity = ("-c", "user.name=x", "-c", "user.email=x@example.org", "-c", "commit.gpgsign=false")
    subprocess.run(["git", "-C", folder, *identity, *arguments], check=True, capture_output=True)


def bare(path: Path, branch: str = "main", message: str = "Initial commit") -> None:
    """A repository of somebody else."""
    work = path.with_name("work")
    subprocess.run(["git", "init", "-q", f"--initial-branch={branch}", work], check=True)
    (work / "thesis.tex").touch()
    git(work, "add", ".")
    git(work, "commit", "-qm", message)
    git(work, "tag", "v1")
    git(work, "clone", "-q", "--mirror", str(work), str(path))


FOUNDED = "x\n\nEvent: branch.opened\nActor: server/jobserver\nBranch: {}\n"


@pytest.mark.parametrize(
    ("make", "found"),
    [
        (bare, "is a repository that jobserver did not create: its branch main begins with "),
        (lambda path: bare(path, "master"), "is a repository that jobserver did not create: it has refs/heads/master"),
        (lambda path: bare(path, "audit"), "jobserver did not create: its branch audit begins with "),
        (lambda path: bare(path, "main", FOUNDED.format("audit")), "its branch main begins with "),
        (lambda path: (bare(path, "x"), git(path, "branch", "-D", "x")), "it has refs/tags/v1"),
        (
            lambda path: (bare(path, "x", FOUNDED.format("main")), git(path, "branch", "main", "x")),
            "it has refs/heads/x",
        ),
        (lambda path: (bare(path), path.rename(path.with_name("y")), git(path.parent, "clone", "-q", "y", path.name)),
         "contains something else"),
        (lambda path: (path.mkdir(), (path / "HEAD").write_text("of a department")), "contains something else"),
        (lambda path: (path.mkdir(), (path / "HEAD").write_text("ref: refs/heads/x"), (path / "a").touch()),
         "contains something else"),
    ],
)  # fmt: skip
def test_a_folder_that_others_made_is_left_alone(tmp_path: Path, make: Callable[[Path], object], found: str) -> None:
    path = tmp_path / "state.git"
    make(path)
    before = {one: one.read_bytes() for one in sorted(path.rglob("*")) if one.is_file()}
    with pytest.raises(Error, match=re.escape(found)) as refused:
        create(path)
    assert str(refused.value).startswith(f"{path}: ")
    assert str(refused.value).endswith("; name a folder that is empty or does not exist")
    assert {one: one.read_bytes() for one in sorted(path.rglob("*")) if one.is_file()} == before
    assert not (tmp_path / "key").exists()


def test_the_repository_of_a_working_copy_is_left_alone(tmp_path: Path) -> None:
    git(tmp_path, "init", "-q")
    with pytest.raises(Error, match="is the repository of a working copy"):
        create(tmp_path / ".git")


@pytest.mark.parametrize(
    "make",
    [
        lambda path: None,
        lambda path: path.mkdir(),
        lambda path: git(path.parent, "init", "-q", "--bare", path.name),
        lambda path: (path.mkdir(), (path / "HEAD").write_text("ref: refs/heads/main\n"), (path / "refs").mkdir()),
        lambda path: (create(path).close(), git(path, "update-ref", "-d", "refs/heads/audit")),
        lambda path: (create(path).close(), git(path, "update-ref", "refs/pull/1/head", "main")),
    ],
)
def test_an_interrupted_init_is_completed(tmp_path: Path, make: Callable[[Path], object]) -> None:
    path = tmp_path / "state.git"
    make(path)
    repo = create(path)
    assert set(repo.writer.refs.branches()) == {"main", "audit"}
    repo.close()
    assert not [problem for problem in verify(path).problems if problem.branch != "refs/pull/1/head"]


def test_a_repository_that_lost_its_key_gets_no_other_by_itself(tmp_path: Path) -> None:
    create(tmp_path / "state.git").close()
    (tmp_path / "key").unlink()
    with pytest.raises(Error, match=f"SIGNING_KEY: {tmp_path / 'key'} does not exist: copy the key"):
        create(tmp_path / "state.git")
    assert not (tmp_path / "key").exists()


def test_a_git_at_work_there_is_not_disturbed(tmp_path: Path) -> None:
    path = tmp_path / "state.git"
    subprocess.run(["git", "init", "-q", "--bare", path], check=True)
    (path / "config.lock").touch()
    with pytest.raises(Error, match="another git process is running there") as refused:
        create(path)
    assert refused.value.code is Code.UNAVAILABLE
    os.utime(path / "config.lock", (time.time() - 60, time.time() - 60))
    create(path).close()


def test_creating_an_existing_repository_keeps_it(tmp_path: Path) -> None:
    create(tmp_path / "state.git").close()
    (tmp_path / "state.git" / "a-link").symlink_to("nowhere")
    again = create(tmp_path / "state.git")
    assert not again.create_branch("main", "main", START)
    again.close()


def test_creating_an_existing_repository_gives_it_its_settings_again(site: Site) -> None:
    settings = site.git("config", "--local", "--list")
    assert list((site.path / "hooks").glob("*.sample")) == []
    site.git("config", "receive.denyNonFastForwards", "false")
    site.git("config", "--unset", "core.fsync")
    StateRepo.create(site.path, site.key, "jobs.example", TEMPLATES, START).close()
    assert sorted(site.git("config", "--local", "--list").split()) == sorted(settings.split())


def test_a_first_backend_hears_of_the_keys_that_main_knows(site: Site) -> None:
    (site.path / "refs" / "heads" / "main").unlink()
    assert site.repo._signers() == site.repo.writer.keys.current().allowed_signer.encode()


def test_only_a_key_that_signed_can_be_revoked(site: Site) -> None:
    first = site.repo.writer.keys.current().fingerprint
    with pytest.raises(Error, match="allowed_signers names no key SHA256:x") as refused:
        rotate(site.repo, site.clock(), "SHA256:x")
    assert refused.value.code is Code.NOT_FOUND
    second = rotate(site.repo, site.clock())
    end = ended_at(site.repo, first)
    assert end is not None
    for at in (None, end, end + timedelta(seconds=0.5), end + timedelta(days=1)):
        with pytest.raises(Error, match=f"already ended at {end:%Y-%m-%d %H:%M:%S} UTC: --at can only") as refused:
            rotate(site.repo, site.clock(), first, at)
        assert refused.value.code is Code.CONFLICT
    site.do(ADMIN, AddUser("dora"))
    assert not verify(site.path).problems
    earlier = end - timedelta(seconds=1)
    assert rotate(site.repo, site.clock(), first, earlier) == second  # an old one: no new key begins
    assert site.repo.writer.keys.current().fingerprint == second
    assert ended_at(site.repo, first) == earlier
    assert ended_at(site.repo, second) is None


@pytest.mark.parametrize(
    ("at", "said"),
    [
        (START + timedelta(hours=1), "--at: expected a time in the past, found 2026-11-24 10:00:00 UTC"),
        (datetime(1, 1, 1, tzinfo=UTC), "--at: expected a time after 2000-01-01"),
        (datetime(1970, 1, 1, tzinfo=UTC), "--at: expected a time after 2000-01-01"),
    ],
)
def test_a_key_ends_at_a_time_that_was(site: Site, at: datetime, said: str) -> None:
    before = site.git("rev-parse", "main")
    with pytest.raises(Error) as refused:
        rotate(site.repo, site.clock(), site.repo.writer.keys.current().fingerprint, at)
    assert str(refused.value) == said
    assert site.git("rev-parse", "main") == before


@pytest.mark.parametrize(
    ("by", "said"),
    [
        (ALICE, "alice cannot change the server's keys on main"),
        (Actor(ActorKind.USER, "nobody"), "nobody is not an active user"),
        (TPP, "tpp is not an active user"),
    ],
)
def test_a_superuser_changes_keys_and_is_named(site: Site, by: Actor, said: str) -> None:
    with pytest.raises(Error, match=said) as refused:
        rotate(site.repo, site.clock(), by=by)
    assert refused.value.code is Code.FORBIDDEN
    old = site.repo.writer.keys.current().fingerprint
    rotate(site.repo, site.clock(), by=ADMIN, via="cli/root")
    said = site.git("log", "-1", "--format=%ae %B", "main")
    assert said.startswith(f"admin@users.jobs.example admin retired {old}\n")
    assert "Actor: user/admin\n" in said
    assert "Via: cli/root\n" in said
    assert site.git("log", "-1", "--format=%ae", "backends/tpp") == "jobserver@jobs.example\n"
    assert not verify(site.path).problems


def test_a_key_that_main_does_not_name_signs_nothing(site: Site) -> None:
    first = site.repo.writer.keys.current().fingerprint
    check_key(site.repo)
    kept = site.key.read_bytes()
    rotate(site.repo, site.clock())
    check_key(site.repo)
    second = site.key.read_bytes()
    put_key(site, kept)
    with pytest.raises(Error, match=re.escape(f"SIGNING_KEY: {site.key} holds {first}, which ended at 2026-")):
        check_key(site.repo)
    site.key.unlink()
    other = SigningKey.create(site.key, "jobserver").fingerprint
    with pytest.raises(Error, match=re.escape(f"SIGNING_KEY: {site.key} holds {other}, which is not a key")):
        check_key(site.repo)
    with pytest.raises(Error, match="is not a key of this repository"):
        rotate(site.repo, site.clock(), first, START)  # the second one may sign, so it has to
    put_key(site, second)
    check_key(site.repo)


def test_the_key_in_the_place_of_a_lost_one_becomes_the_new_one(site: Site) -> None:
    lost = site.repo.writer.keys.current().fingerprint
    site.key.unlink()
    new = SigningKey.create(site.key, "jobserver").fingerprint
    assert not is_current(site.repo)
    assert rotate(site.repo, site.clock(), lost, by=ADMIN) == new
    assert is_current(site.repo)
    site.do(ADMIN, AddUser("dora"))
    assert verify(site.path).problems  # nobody whom the record knows vouches for it
    assert not verify(site.path, signers=site.git("show", "main:allowed_signers")).problems
    third = rotate(site.repo, site.clock(), by=ADMIN)
    assert site.repo.writer.keys.current().fingerprint == third
    check_key(site.repo)  # who put the second one there vouched for it, and is remembered beside SIGNING_KEY
    assert site.key.with_name("state.key.signers").read_text().count("ssh-ed25519") == 2


def put_key(site: Site, data: bytes) -> None:
    site.key.write_bytes(data)
    os.utime(site.key, ns=(0, time.time_ns()))


def test_a_key_that_main_never_heard_of_is_dropped(site: Site) -> None:
    """As a rotation leaves it that was stopped before main was told."""
    first = site.repo.writer.keys.current().fingerprint
    beside = rotation._beside(site.key)
    SigningKey.create(beside, "jobserver")
    settle(site.repo, site.clock())
    assert not beside.exists()
    assert site.repo.writer.keys.current().fingerprint == first


@pytest.mark.parametrize("url", ["", "https://", "ftp://host/x", "https://github.com"])
def test_a_url_that_names_no_repository_is_refused(tmp_path: Path, url: str) -> None:
    with pytest.raises(Error, match="expected the URL of a git repository"):
        Remote(tmp_path, url)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://host/x", "https://host/x"),
        ("https://a:b@host:8/x", "https://host:8/x"),
        ("https://a@host/x", "https://host/x"),
        ("ssh://git@host/x", "ssh://git@host/x"),
        ("/srv/x", "/srv/x"),
    ],
)
def test_credentials_are_shown_to_nobody(tmp_path: Path, url: str, shown: str) -> None:
    assert Remote(tmp_path, url).url == shown


def test_a_hosts_reason_for_a_failure_is_told(tmp_path: Path) -> None:
    subprocess.run(["git", "init", "-q", "--bare", tmp_path / "here"], check=True)
    remote = Remote(tmp_path / "here", str(tmp_path / "nothing"))
    with pytest.raises(Error, match="does not appear to be a git repository"):
        remote.tips()


def test_a_bare_repository_that_does_not_say_so_is_no_working_copy(site: Site, tmp_path: Path) -> None:
    init.check_place(site.path)
    site.git("config", "--unset", "core.bare")
    init.check_place(site.path)
    subprocess.run(["git", "init", "-q", tmp_path / "copy"], check=True)
    with pytest.raises(Error, match="is the repository of a working copy"):
        init.check_place(tmp_path / "copy" / ".git")


def test_only_the_repositorys_owner_may_open_or_complete_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    create(tmp_path / "state.git").close()
    monkeypatch.setattr(os, "geteuid", lambda: 12345)
    with pytest.raises(Error, match=r"state\.git: belongs to the user .+, and this is 12345"):
        StateRepo(tmp_path / "state.git", tmp_path / "key", "jobs.example", TEMPLATES)
    with pytest.raises(Error, match="belongs to the user"):
        create(tmp_path / "state.git")


def test_a_repository_without_head_is_not_taken_for_one_above_it(tmp_path: Path) -> None:
    create(tmp_path / "state.git").close()
    (tmp_path / "state.git" / "HEAD").unlink()
    with pytest.raises(Error, match="not a git repository"):
        StateRepo(tmp_path / "state.git", tmp_path / "key", "jobs.example", TEMPLATES)
