"""The wiring of a command: which key it may begin with, what a change of keys leaves behind, who stays an admin."""

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from jobserver import bootstrap
from jobserver.audit.verify import verify
from jobserver.config.settings import Settings
from jobserver.domain.base.permissions import SERVER, Role
from jobserver.domain.users import AddUser, AddUserToken, DisableUser
from jobserver.errors import Error
from jobserver.service.accounts.admins import ensure_admins
from jobserver.service.writes.key_change import change_key
from jobserver.store.keys import rotation
from jobserver.store.keys.signing import SigningKey
from tests.site import ADMIN


class Place:
    """STATE_REPO with a user more, its settings, and a clock that moves a second a call."""

    def __init__(self, folder: Path) -> None:
        self.now = datetime(2026, 11, 24, 9, tzinfo=UTC)
        self.settings = Settings.from_env(
            _env_file=None,
            secret_key="0123456789abcdef",
            base_url="http://jobs.example",
            state_repo=folder / "state.git",
            admin_users=("admin", "boss"),
        )
        self.key = self.settings.signing_key
        self.app = bootstrap.create(self.settings, self.clock)
        self.add("alice")

    def clock(self) -> datetime:
        self.now += timedelta(seconds=1)
        return self.now

    def add(self, username: str) -> None:
        self.app.gate.submit(ADMIN, AddUser(username), "test")

    def fingerprint(self) -> str:
        return self.app.repo.writer.keys.current().fingerprint

    def change_key(self, revoked: str = "", at: datetime | None = None) -> str:
        return change_key(self.app.repo, self.app.gate, self.clock, ADMIN, "test", revoked, at)

    def ensure_admins(self) -> None:
        ensure_admins(self.app.repo, self.app.gate, self.settings.admin_users, self.settings.base_url)

    def problems(self, signers: str | None = None) -> list[str]:
        return [str(problem) for problem in verify(self.settings.state_repo, signers=signers).problems]

    def said(self, branch: str = "audit") -> str:
        return self.app.repo.writer.read(branch, lambda state: str(state.checkpoint()))


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    made = Place(tmp_path)
    yield made
    made.app.close()


@pytest.mark.parametrize("is_revoked", [False, True])
def test_commits_that_a_key_signed_before_its_end_count(place: Place, is_revoked: bool) -> None:
    for number in range(3):  # each soon after the last write, with no checkpoint in between
        place.add(f"user-{number}")
        before = place.fingerprint()
        after = place.change_key(before if is_revoked else "")
        assert after == place.fingerprint() != before
        assert place.app.repo.writer.refs.tip("main") in place.said()
        place.add(f"other-{number}")
        assert place.problems() == []


def test_only_commits_signed_after_the_theft_of_a_key_are_named(place: Place) -> None:
    stolen, at = place.fingerprint(), place.now
    place.clock()
    place.add("eve")
    eve = place.app.repo.writer.refs.tip("main")
    assert eve is not None
    place.change_key(stolen, at)
    assert place.app.repo.writer.refs.tip("main") in place.said()  # by the new key
    (found,) = place.problems()
    assert found.startswith(f"main {eve[:10]}: is signed by {stolen}, which was not valid at")
    place.add("mallory")
    assert place.problems() == [found]


def other_key(place: Place) -> str:
    place.key.unlink()
    return SigningKey.create(place.key, "jobserver").fingerprint


def test_every_start_looks_at_the_key(place: Place) -> None:
    bootstrap.install_hooks(place.settings)
    before = place.app.repo.writer.refs.branches()
    other = other_key(place)
    for begin in (
        lambda: bootstrap.connect(place.settings),
        lambda: bootstrap.create(place.settings),
        lambda: bootstrap.judge_push(place.settings.state_repo, json.dumps({"updates": []}).encode()),
    ):
        with pytest.raises(Error, match=re.escape(f"holds {other}, which is not a key of this repository")):
            begin()
    assert place.app.repo.writer.refs.branches() == before


def test_a_lost_key_is_revoked_by_its_successor(place: Place) -> None:
    lost = place.fingerprint()
    other = other_key(place)
    app = bootstrap.connect(place.settings, checks_key=False)
    assert change_key(app.repo, app.gate, place.clock, ADMIN, "test", lost) == other
    app.close()
    bootstrap.connect(place.settings).close()
    place.add("eve")
    assert any("which is not a key of the server" in one for one in place.problems())  # so could a thief's be
    text = place.app.repo.writer.read("main", lambda state: (state.read_file("allowed_signers") or b"").decode())
    assert place.problems(signers=text) == []


@pytest.mark.parametrize("begin", [bootstrap.connect, bootstrap.create])
def test_an_interrupted_rotation_is_completed_before_the_key_is_looked_at(
    place: Place, monkeypatch: pytest.MonkeyPatch, begin: object
) -> None:
    assert callable(begin)
    before = place.fingerprint()

    def cut(self: Path, target: Path) -> Path:
        raise InterruptedError

    with monkeypatch.context() as patch, pytest.raises(Error):
        patch.setattr(Path, "replace", cut)
        rotation.rotate(place.app.repo, place.clock())
    assert place.fingerprint() == before
    begin(place.settings).close()
    assert place.fingerprint() != before
    assert place.problems() == []


def test_admins_who_were_disabled(place: Place, caplog: pytest.LogCaptureFixture) -> None:
    place.app.gate.submit(ADMIN, AddUserToken("boss", "old", "a" * 64), "test")
    place.app.gate.submit(ADMIN, DisableUser("boss"), "test")
    place.ensure_admins()
    look = place.app.repo.writer.read
    assert not look("main", lambda state: state.user("boss")).active  # type: ignore[union-attr]
    assert caplog.messages == [
        "ADMIN_USERS: boss is disabled and stays disabled. A SuperUser can enable them at http://jobs.example/users/boss/"
    ]
    caplog.clear()
    place.app.gate.submit(SERVER, AddUserToken("admin", "old", "b" * 64), "test")
    place.app.gate.submit(SERVER, DisableUser("admin"), "test")
    place.ensure_admins()
    admin = look("main", lambda state: state.user("admin"))
    assert admin is not None
    assert (admin.active, admin.roles, admin.tokens) == (True, (Role.SUPER_USER,), ())
    assert not look("main", lambda state: state.user("boss")).active  # type: ignore[union-attr]
    assert caplog.messages[0] == "ADMIN_USERS: no SuperUser was active, so admin is enabled again, without old tokens"
    assert "boss is disabled" in caplog.messages[1]
    assert place.problems() == []


def test_the_first_files_of_a_repository_are_a_part_of_the_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`pip install --user` and `--target` put nothing beside a package where it was looked for."""
    package = Path(bootstrap.__file__).parent
    assert bootstrap.templates().is_relative_to(package)
    assert {one.name for one in bootstrap.templates().iterdir()} == {"main", "backend", "audit", "tools"}
    monkeypatch.setattr(bootstrap, "__file__", str(tmp_path / "bootstrap.py"))
    with pytest.raises(Error, match="this installation is incomplete"):
        bootstrap.templates()


def test_a_push_is_judged_without_the_imports_of_other_commands() -> None:
    code = (
        "import sys, jobserver.cli.push.judge; print(sorted({'httpx', 'rich', 'pydantic_settings'} & {*sys.modules}))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
