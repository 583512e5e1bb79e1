"""Keys of servers that share one hosted repository."""

import shutil
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from jobserver.audit.verify import verify
from jobserver.errors import Error
from jobserver.store.rotate import check_key, rotate
from tests.e2e.harness import git
from tests.e2e.host import Host
from tests.integration.service.hosted.machine import Machine
from tests.site import ADMIN


def test_a_key_that_main_does_not_name_writes_nothing(tmp_path: Path, machines: list[Machine], host: Host) -> None:
    before = host.tip("main")
    stranger = Machine(tmp_path / "other", host, 2)  # has made a key of its own
    try:
        with pytest.raises(Error, match="not named by main's allowed_signers"):
            stranger.add("dave")
    finally:
        stranger.close()
    assert host.tip("main") == before


@pytest.fixture
def apart(tmp_path: Path, machines: list[Machine], host: Host) -> Iterator[Machine]:
    """A server with a copy of the key, as those on other machines have."""
    copy(machines[0], tmp_path / "apart")
    machine = Machine(tmp_path / "apart", host, 2)
    yield machine
    machine.close()


def copy(machine: Machine, folder: Path) -> None:
    folder.mkdir(exist_ok=True)
    shutil.copy(machine.repo.writer.keys.path, folder / "key")


def change(machine: Machine, revoked: str = "") -> str:
    return rotate(machine.repo, machine.clock(), revoked, by=ADMIN)


def ours(machine: Machine) -> str:
    return machine.repo.writer.keys.current().fingerprint


def test_after_a_rotation_a_server_goes_on_once_it_has_the_new_key(machines: list[Machine], apart: Machine) -> None:
    new = change(machines[0])
    apart.refresh()
    assert not apart.hosted.frozen
    with pytest.raises(Error, match="has ended: copy SIGNING_KEY"):
        apart.ask()
    copy(machines[0], apart.path.parent)
    assert ours(apart) == new
    assert apart.ask().changed
    machines[0].refresh()
    assert not machines[0].hosted.frozen


def test_a_stolen_key_brings_no_other_and_who_copies_the_new_one_vouches_for_it(
    machines: list[Machine], apart: Machine, host: Host
) -> None:
    """Found: the revocation is signed by the new key alone, which a server elsewhere can't tell from a thief's. Its
    main was frozen, and stayed so with the new key in its place: no start, no way out."""
    before = apart.tip("main")
    new = change(machines[0], ours(machines[0]))
    apart.refresh()
    assert f"is signed by {new}, which is no key of the server" in apart.hosted.frozen["main"]
    for ask in (apart.ask, lambda: apart.add("dave")):
        with pytest.raises(Error, match="frozen"):
            ask()
    assert apart.tip("main") == before
    copy(machines[0], apart.path.parent)
    apart.refresh()
    assert not apart.hosted.frozen
    check_key(apart.repo)  # what a start does
    assert apart.ask().changed
    assert apart.add("dave").changed
    assert host.tip("main") == apart.tip("main")


def test_our_own_key_counts_no_longer_than_main_says(
    tmp_path: Path, machines: list[Machine], apart: Machine, host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy(machines[0], tmp_path / "thief")
    thief = Machine(tmp_path / "thief", host, 2)
    monkeypatch.setattr(thief.hosted, "check_key", lambda: None)
    try:
        change(machines[0])
        thief.late = timedelta(seconds=5)
        before = host.tip("backends/tpp")
        thief.ask()
    finally:
        thief.close()
    assert ours(apart) != ours(machines[0])
    apart.refresh()
    assert "which was not valid at" in apart.hosted.frozen["backends/tpp"]
    git(host.path, "update-ref", "refs/heads/backends/tpp", before)


@pytest.mark.parametrize("history", ["stolen", "stolen long ago", "stolen twice", "stolen, then rotated", "rotated"])
def test_a_further_machine_joins_whatever_became_of_earlier_keys(
    tmp_path: Path, unverified: list[Machine], host: Host, history: str
) -> None:
    """Found: main was frozen for who joined after a revocation, which the revoked key did not vouch for."""
    first, second = unverified
    began = first.clock()
    first.late = timedelta(seconds=5)
    first.ask()
    if "stolen" in history:
        stolen = ours(first)
        at = began if "long ago" in history else None
        rotate(first.repo, first.clock(), stolen, at, by=ADMIN)
    if "twice" in history:
        change(first, ours(first))
    if "rotated" in history:
        change(first)
        first.add("dave")
    copy(first, tmp_path / "further")
    further = Machine(tmp_path / "further", host, 2)
    try:
        assert not further.hosted.frozen
        check_key(further.repo)
        assert further.ask().changed
        assert further.add("erin").changed
    finally:
        further.close()
    first.refresh()
    assert not first.hosted.frozen
    second.refresh()  # has the same key file
    assert bool(second.hosted.frozen) == (history == "stolen, then rotated")
    assert bool(verify(host.path).problems) == ("long ago" in history)  # that is what ending it earlier is for
