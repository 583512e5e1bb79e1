"""Somebody who can write to the host and has a key that was rotated away or revoked, or none."""

import os
import shutil
import subprocess
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from jobserver.audit.verify import verify
from jobserver.errors import Error
from jobserver.store.keys.rotation import rotate
from tests.e2e.harness import git, until
from tests.e2e.host import Host
from tests.integration.service.upstream.machine import Machine
from tests.samples import first
from tests.site import ADMIN

HOST_IS_A_FOLDER = True  # who signed what does not depend on the way there


class Thief:
    """Has the key that the servers had in the beginning, and a clone of what is at the host."""

    def __init__(self, folder: Path, host: Host, machine: Machine) -> None:
        folder.mkdir()
        self.host, self.clone, self.key = host, folder / "clone", folder / "key"
        shutil.copy(machine.repo.writer.keys.path, self.key)
        git(folder, "clone", "-q", str(host.path), "clone")

    def commit(self, branch: str, change: Callable[[Path], None], message: str, at: datetime) -> str:
        """On top of what stands there, and pushed; its id."""
        git(self.clone, "fetch", "-q")
        git(self.clone, "checkout", "-q", "-B", "work", f"origin/{branch}")
        change(self.clone)
        git(self.clone, "add", "-A")
        self.sign(message, at)
        git(self.clone, "push", "-q", "origin", f"work:{branch}")
        return git(self.clone, "rev-parse", "work")

    def sign(self, message: str, at: datetime, *more: str) -> None:
        dates = {"GIT_COMMITTER_DATE": at.isoformat(), "GIT_AUTHOR_DATE": at.isoformat()}
        signing = ["-c", "gpg.format=ssh", "-c", f"user.signingkey={self.key}", "commit", "-S"]
        names = ["-c", "user.name=x", "-c", "user.email=x@example.org"]
        command = ["git", "-C", str(self.clone), *names, *signing, "-q", "-m", message, *more]
        subprocess.run(command, env={**os.environ, **dates}, check=True)


@pytest.fixture
def thief(tmp_path: Path, host: Host, unverified: list[Machine]) -> Thief:
    return Thief(tmp_path / "thief", host, unverified[0])


def end(machine: Machine, how: str = "revoked") -> datetime:
    """Ends the key that the thief has; a time at which it was still good."""
    before = machine.clock()
    machine.late += timedelta(minutes=1)
    rotate(
        machine.repo,
        machine.clock(),
        machine.repo.writer.keys.current().fingerprint if how == "revoked" else "",
        by=ADMIN,
    )
    machine.refresh()
    return before


def scribble(clone: Path) -> None:
    (clone / "README.md").write_text("x")


def add_mallory(clone: Path) -> None:
    (clone / "users" / "mallory.yaml").write_text((clone / "users" / "admin.yaml").read_text())


@pytest.mark.parametrize("how", first(1, ["revoked", "rotated"]))
@pytest.mark.parametrize("branch", ["main", "backends/tpp"])
def test_a_key_that_has_ended_signs_nothing_whatever_time_it_claims(
    unverified: list[Machine], thief: Thief, how: str, branch: str
) -> None:
    """Found: `audit verify` had this rule, and the servers did not: a revocation protected none of them."""
    first = unverified[0]
    before = end(first, how)
    made = thief.commit(branch, scribble, "x\n\nEvent: keys.rotated", before)
    first.refresh()
    assert "which ended before" in first.hosted.frozen[branch]
    assert made[:10] in first.hosted.frozen[branch]
    assert first.tip(branch) != made


def test_a_receipt_by_a_key_that_has_ended_is_none(unverified: list[Machine], thief: Thief) -> None:
    first = unverified[0]
    before = end(first)
    old = first.tip("main")
    made = thief.commit("main", add_mallory, "mallory", before)

    def write(clone: Path) -> None:
        (clone / "receipt.yaml").write_text(
            f"version: 1\nnumber: 1\nbranch: main\nold: {old}\nnew: {made}\npusher: user/admin\n"
            f"received_at: {before:%Y-%m-%dT%H:%M:%S.%fZ}\n"
        )

    thief.commit("audit", write, "x\n\nEvent: push.received\nActor: server/jobserver\nBranch: audit\nPolicy: 1", before)
    for _ in range(2):
        first.refresh()
        assert set(first.hosted.frozen) == {"main", "audit"}
        assert first.tip("main") == old


def test_a_revoked_key_does_not_vouch_for_itself_where_it_is_still_in_place(
    unverified: list[Machine], thief: Thief, apart: Machine, host: Host
) -> None:
    first = unverified[0]
    end(first)
    apart.refresh()
    kept = apart.tip("main")
    allowed = git(host.path, "show", "main~1:allowed_signers") + "\n"
    thief.commit(
        "main", lambda clone: (clone / "allowed_signers").write_text(allowed), "x\n\nEvent: key.revoked", first.clock()
    )
    apart.refresh()
    assert "no server made or judged" in apart.hosted.frozen["main"]
    assert apart.tip("main") == kept


def test_a_key_file_that_can_not_be_read_for_a_moment(unverified: list[Machine], apart: Machine) -> None:
    """As while a new one is copied. Found: what came meanwhile was frozen for good."""
    first = unverified[0]
    path = apart.repo.writer.keys.path
    first.ask()
    seen = apart.hosted.status.seen_at
    path.chmod(0o644)
    os.utime(path, ns=(0, 0))
    apart.refresh()
    assert "SIGNING_KEY can't be read" in apart.hosted.frozen["backends/tpp"]
    assert str(path) not in apart.hosted.frozen["backends/tpp"]
    assert apart.hosted.status.seen_at == seen
    with pytest.raises(Error, match="other users can read this key"):
        apart.ask()
    path.chmod(0o600)
    apart.refresh()
    assert not apart.hosted.frozen
    assert apart.ask().changed


def test_a_server_that_runs_takes_up_the_new_key_by_itself(unverified: list[Machine], apart: Machine) -> None:
    """Found: a revocation was signed by the new key, which could be a thief's: main was frozen."""
    first = unverified[0]
    apart.hosted.follower.start(0.05)
    end(first)
    until(lambda: apart.tip("audit") == first.tip("audit"))
    assert apart.tip("main") == first.tip("main")
    assert not apart.hosted.frozen
    with pytest.raises(Error, match="has ended: copy SIGNING_KEY"):
        apart.ask()
    shutil.copy(first.repo.writer.keys.path, apart.repo.writer.keys.path)
    assert apart.ask().changed


@pytest.mark.parametrize("branch", first(1, ["backends/tpp", "main", "audit"]))
def test_an_ended_key_signs_nothing_where_other_keys_ended_before_it(
    unverified: list[Machine], thief: Thief, apart: Machine, branch: str
) -> None:
    """Found: a commit that tells of several ends was read as telling of the first one only."""
    first = unverified[0]
    end(first, "rotated")
    for key in (apart.repo.writer.keys.path, thief.key):
        shutil.copy(first.repo.writer.keys.path, key)
    apart.refresh()
    assert not apart.hosted.frozen
    end(first)
    apart.refresh()
    kept = apart.tip(branch)
    thief.commit(branch, scribble, f"x\n\nEvent: keys.rotated\nBranch: {branch}", first.clock())
    apart.refresh()
    assert "no server made or judged" in apart.hosted.frozen[branch]
    assert apart.tip(branch) == kept


def test_a_key_that_has_ended_begins_no_branch(unverified: list[Machine], thief: Thief, host: Host) -> None:
    """Found: a branch that is new had heard of no key's end."""
    first = unverified[0]
    before = end(first)
    git(thief.clone, "checkout", "-q", "--orphan", "evil", "origin/backends/tpp")
    git(thief.clone, "commit", "-qm", "a root to begin with")
    message = "x\n\nEvent: branch.opened\nActor: server/jobserver\nBranch: backends/evil\nPolicy: 1"
    thief.sign(message, before, "--amend")
    git(thief.clone, "push", "-q", "origin", "HEAD:backends/evil")
    first.refresh()
    assert "which ended before" in first.hosted.frozen["backends/evil"]
    assert first.tip("backends/evil") is None
    assert "is the branch of a backend that main does not have" in {one.message for one in verify(host.path).problems}
