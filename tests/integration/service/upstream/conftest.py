"""One hosted repository, by a real `git http-backend`, and two servers."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from jobserver.audit.verify import verify
from jobserver.domain.accounts import EnsureAdmin
from jobserver.domain.backends import AddBackend
from jobserver.domain.base.permissions import SERVER, Role
from jobserver.domain.users import AddUser
from jobserver.domain.workspaces import AddWorkspace
from tests.e2e.host import Host
from tests.integration.service.upstream.machine import Machine, copy
from tests.site import ADMIN, ALICE


@pytest.fixture
def host(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Host]:
    """Over HTTP; just a folder for a module that says ``HOST_IS_A_FOLDER``."""
    if "unverified" in request.fixturenames:
        shutil.copytree(request.getfixturevalue("founded"), tmp_path, dirs_exist_ok=True)
    clients = 0 if getattr(request.module, "HOST_IS_A_FOLDER", False) else 3
    host = Host(tmp_path / "host", clients, "servers:a-secret")
    yield host
    host.close()


@pytest.fixture(scope="session")
def founded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The repositories of a host and of two servers, to copy: to make them takes as long as most tests."""
    folder = tmp_path_factory.mktemp("founded")
    host = Host(folder / "host", 0)
    first = Machine(folder / "servers", host, 0)
    first.gate.submit(SERVER, EnsureAdmin("admin"), "test")
    first.gate.submit(ADMIN, AddBackend("tpp", "a" * 64, databases=("full",)), "test")
    first.gate.submit(ADMIN, AddUser("alice", roles=(Role.CORE_DEVELOPER,)), "test")
    first.gate.submit(ALICE, AddWorkspace("trends", "study", "main"), "test")
    second = Machine(folder / "servers", host, 1)
    for part in (first, second, host):
        part.close()
    return folder


@pytest.fixture
def unverified(tmp_path: Path, host: Host) -> Iterator[list[Machine]]:
    """Two servers, for tests that leave something for `audit verify` to name."""
    machines = [Machine(tmp_path / "servers", host, number) for number in (0, 1)]
    yield machines
    for machine in machines:
        machine.close()


@pytest.fixture
def apart(tmp_path: Path, unverified: list[Machine], host: Host) -> Iterator[Machine]:
    """A third one, with a copy of the key, as those on other machines have."""
    copy(unverified[0], tmp_path / "apart")
    machine = Machine(tmp_path / "apart", host, 2)
    yield machine
    machine.close()


@pytest.fixture
def machines(unverified: list[Machine], host: Host) -> Iterator[list[Machine]]:
    yield unverified
    host.is_down = False
    assert not verify(host.path).problems
