"""Keys of servers that share one hosted repository."""

import os
from datetime import timedelta
from pathlib import Path
from unittest.mock import patch

import pytest

from jobserver.audit.verify import verify
from jobserver.errors import Error
from jobserver.store.keys.rotation import check_key, rotate, settle
from tests.e2e.harness import git
from tests.e2e.host import Host
from tests.integration.service.upstream.machine import Machine, copy
from tests.samples import first, only_whole
from tests.site import ADMIN

HOST_IS_A_FOLDER = True  # who signed what does not depend on the way there


def test_a_key_that_main_does_not_name_writes_nothing(tmp_path: Path, machines: list[Machine], host: Host) -> None:
    before = host.tip("main")
    stranger = Machine(tmp_path / "other", host, 2)  # has made a key of its own
    try:
        with pytest.raises(Error, match="not named by main's allowed_signers"):
            stranger.add("dave")
    finally:
        stranger.close()
    assert host.tip("main") == before


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


def test_a_stolen_key_is_followed_to_the_next_one_and_writes_nothing_more(
    machines: list[Machine], apart: Machine, host: Host
) -> None:
    """Found: the revocation was signed by the new key alone, which a server elsewhere can't tell from a thief's."""
    change(machines[0], ours(machines[0]))
    apart.refresh()
    assert not apart.hosted.frozen
    assert apart.tip("main") == machines[0].tip("main")
    for ask in (apart.ask, lambda: apart.add("dave")):
        with pytest.raises(Error, match="has ended: copy SIGNING_KEY"):
            ask()
    copy(machines[0], apart.path.parent)
    apart.refresh()
    assert not apart.hosted.frozen
    check_key(apart.repo)  # what a start does
    assert apart.ask().changed
    assert apart.add("dave").changed
    assert host.tip("main") == apart.tip("main")


@only_whole
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


@pytest.mark.parametrize(
    "history",
    first(1, ["stolen, then rotated", "stolen", "stolen long ago", "stolen twice", "rotated"]),
)
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
    assert not second.hosted.frozen
    assert bool(verify(host.path).problems) == ("long ago" in history)  # that is what ending it earlier is for


def adopted(machine: Machine, host: Host, folder: Path, username: str) -> None:
    """A person's push, with its receipt."""
    clone = folder / username
    git(folder, "clone", "-q", str(machine.path), clone.name)
    (clone / "users" / f"{username}.yaml").write_text(f"version: 1\nusername: {username}\n")
    git(clone, "add", "-A")
    with patch.dict(os.environ, GIT_COMMITTER_DATE=machine.clock().isoformat()):
        git(clone, "commit", "-qm", username)
    new, old = git(clone, "rev-parse", "HEAD"), git(clone, "rev-parse", "HEAD~1")
    git(clone, "push", "-q", str(host.path), "HEAD:main")
    machine.refresh()
    machine.receiver.adopt("main", old, new, ADMIN)
    machine.refresh()
    assert not machine.hosted.frozen


def test_receipts_of_before_a_rotation_count_for_who_learns_of_both_at_once(
    machines: list[Machine], apart: Machine, host: Host, tmp_path: Path
) -> None:
    first = machines[0]
    adopted(first, host, tmp_path, "erin")
    change(first)
    copy(first, apart.path.parent)  # the old key would vouch for all before the rotation
    apart.refresh()
    assert not apart.hosted.frozen
    assert apart.tip("main") == first.tip("main")


def test_receipts_count_where_their_key_was_revoked_as_of_before_them(
    unverified: list[Machine], apart: Machine, host: Host, tmp_path: Path
) -> None:
    """Found: a server that was off meanwhile had its main frozen for good."""
    first = unverified[0]
    old, began = ours(first), first.clock()
    first.late = timedelta(minutes=1)
    adopted(first, host, tmp_path, "erin")
    change(first)
    adopted(first, host, tmp_path, "frank")
    rotate(first.repo, first.clock(), old, began, by=ADMIN)
    change(first)
    copy(first, apart.path.parent)
    apart.refresh()
    assert not apart.hosted.frozen
    assert apart.tip("main") == first.tip("main")


@pytest.mark.parametrize("ends", first(1, ["revoked", "rotated"]))
def test_a_branch_that_is_frozen_meanwhile_stops_no_change_of_keys(
    machines: list[Machine], host: Host, tmp_path: Path, ends: str
) -> None:
    """Found: it left the new key beside the old one, which had ended, and every later command refused. So could
    whoever writes to the host, without any key, make that nobody could end a stolen one."""
    first = machines[0]
    clone = tmp_path / "junk"
    git(tmp_path, "clone", "-q", "-b", "backends/tpp", str(host.path), clone.name)
    kept = host.tip("backends/tpp")
    git(clone, "commit", "-q", "--allow-empty", "-m", "junk")
    git(clone, "push", "-q", "origin", "HEAD:backends/tpp")
    first.refresh()
    before = ours(first)
    assert change(first, before if ends == "revoked" else "") == ours(first) != before
    assert first.add("dave").changed
    with pytest.raises(Error, match="frozen"):
        first.ask()
    git(host.path, "update-ref", "refs/heads/backends/tpp", str(kept))
    first.refresh()
    assert first.ask().changed
    settle(first.repo, first.clock())  # what the next command or start begins with
    assert git(host.path, "show", "backends/tpp:allowed_signers") == git(host.path, "show", "main:allowed_signers")
