"""What stands on the hosted repository, and no server made or judged."""

from pathlib import Path

import pytest

from jobserver.errors import Error, unavailable
from jobserver.service.upstream import trust
from jobserver.service.upstream.adoption import pending
from tests.e2e.harness import git
from tests.e2e.host import Host
from tests.integration.service.upstream.machine import Machine
from tests.samples import first
from tests.site import ADMIN, ALICE

HOST_IS_A_FOLDER = True  # who signed what does not depend on the way there


def foreign(host: Host, tmp_path: Path, text: str = "name: Carol", branch: str = "main") -> str:
    """A commit that somebody makes on the host itself."""
    clone = tmp_path / "foreign"
    if not clone.exists():
        git(tmp_path, "clone", "-q", str(host.path), "foreign")
    git(clone, "fetch", "-q")
    git(clone, "checkout", "-q", "-B", "work", f"origin/{branch}")
    user = clone / "users" / "alice.yaml"
    if branch == "main":
        lines = [text if line.startswith("name:") else line for line in user.read_text().splitlines()]
        user.write_text("\n".join(lines) + "\n")
    else:
        (clone / "README.md").write_text(text)
    git(clone, "commit", "-qam", "an edit on the host")
    git(clone, "push", "-q", "origin", f"work:{branch}")
    return git(clone, "rev-parse", "work")


def test_a_commit_that_no_server_made_freezes_its_branch_until_it_is_adopted(
    machines: list[Machine], host: Host, tmp_path: Path
) -> None:
    first = machines[0]
    before = host.tip("main")
    made = foreign(host, tmp_path)
    for machine in machines:
        machine.refresh()
        assert made[:10] in machine.hosted.frozen["main"]
        assert machine.tip("main") == before
    with pytest.raises(Error, match="frozen"):
        first.add("dave")
    assert first.ask().changed  # other branches go on
    assert pending(first.hosted, "main") == (before, made)
    with pytest.raises(Error, match="can't push"):
        first.receiver.adopt("main", before, made, ALICE)
    first.receiver.adopt("main", before, made, ADMIN)
    for machine in machines:
        machine.refresh()
        assert not machine.hosted.frozen
        assert machine.tip("main") == made
    assert machines[1].add("dave").changed


def test_a_commit_that_could_not_have_been_pushed_can_only_be_removed(
    machines: list[Machine], host: Host, tmp_path: Path
) -> None:
    before = host.tip("main")
    made = foreign(host, tmp_path, "nonsense: yes")
    machines[0].refresh()
    with pytest.raises(Error, match=r"users/alice\.yaml"):
        machines[0].receiver.adopt("main", before, made, ADMIN)
    git(host.path, "update-ref", "refs/heads/main", before)
    machines[0].refresh()
    assert not machines[0].hosted.frozen
    assert machines[0].add("dave").changed


def test_a_branch_that_went_back_is_frozen_and_said(machines: list[Machine], host: Host) -> None:
    first = machines[0]
    first.ask()
    kept = host.tip("backends/tpp")
    git(host.path, "update-ref", "refs/heads/backends/tpp", "backends/tpp~1")
    first.refresh()
    assert "went back" in first.hosted.frozen["backends/tpp"]
    with pytest.raises(Error, match="reset the branch there to"):
        pending(first.hosted, "backends/tpp")
    with pytest.raises(Error, match="frozen"):
        first.ask()
    git(host.path, "update-ref", "-d", "refs/heads/backends/tpp")
    first.refresh()
    assert "does not have it" in first.hosted.frozen["backends/tpp"]
    git(host.path, "update-ref", "refs/heads/backends/tpp", kept)
    first.refresh()
    assert not first.hosted.frozen


def test_a_receipt_that_somebody_else_signed_is_none(machines: list[Machine], host: Host, tmp_path: Path) -> None:
    before = host.tip("main")
    made = foreign(host, tmp_path)
    clone = tmp_path / "foreign"
    git(clone, "checkout", "-q", "-B", "work", "origin/audit")
    (clone / "receipt.yaml").write_text(
        f"version: 1\nnumber: 1\nbranch: main\nold: {before}\nnew: {made}\npusher: user/admin\n"
        "received_at: 2026-11-24T10:00:00.000000Z\n"
    )
    git(clone, "add", ".")
    git(clone, "commit", "-qm", "x\n\nEvent: push.received\nActor: server/jobserver\nBranch: audit\nPolicy: 1")
    audit = host.tip("audit")
    git(clone, "push", "-q", "origin", "work:audit")
    machines[0].refresh()
    assert set(machines[0].hosted.frozen) == {"main", "audit"}
    git(host.path, "update-ref", "refs/heads/main", before)
    git(host.path, "update-ref", "refs/heads/audit", audit)


def test_a_branch_that_can_not_be_judged_now_is_judged_again_later(
    machines: list[Machine], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A git that failed once froze a branch until it moved again, and reads said that they were as of now."""
    first, second = machines
    second.refresh()
    before = second.hosted.status.seen_at

    def fails(*_: object) -> str:
        raise unavailable("git was killed")

    first.ask()
    with monkeypatch.context() as patched:
        patched.setattr(trust, "_signers_at", fails)
        second.refresh()
        assert "git was killed" in second.hosted.frozen["backends/tpp"]
        assert second.hosted.status.seen_at == before
    second.refresh()
    assert not second.hosted.frozen
    assert second.hosted.status.seen_at != before
    assert second.tip("backends/tpp") == first.tip("backends/tpp")


@pytest.mark.parametrize("branch", first(1, ["backends/tpp", "main", "audit"]))
def test_a_commit_signed_for_one_branch_is_not_trusted_on_another(
    machines: list[Machine], host: Host, branch: str
) -> None:
    """Found: whoever could write to the host, without any key, made one backend's history another one's."""
    first, second = machines
    first.ask()
    for machine in machines:
        git(host.path, "update-ref", "refs/heads/backends/evil", str(host.tip(branch)))
        machine.refresh()
        assert f"says Branch: {branch}, but is on backends/evil" in machine.hosted.frozen["backends/evil"]
        assert machine.tip("backends/evil") is None
    git(host.path, "update-ref", "-d", "refs/heads/backends/evil")
    second.refresh()
    assert not second.hosted.frozen


def test_a_branch_of_nothing_that_a_server_made_is_judged_once_and_for_all(
    machines: list[Machine], host: Host, tmp_path: Path
) -> None:
    """Found: without `allowed_signers` in it, it was called unreadable just now, and nothing looked as of now again."""
    clone = tmp_path / "foreign"
    git(tmp_path, "init", "-q", clone.name)
    git(clone, "commit", "-q", "--allow-empty", "-m", "x")
    git(clone, "push", "-q", str(host.path), "HEAD:backends/evil")
    before = machines[0].hosted.status.seen_at
    machines[0].refresh()
    assert "no server made or judged" in machines[0].hosted.frozen["backends/evil"]
    assert machines[0].hosted.status.seen_at > before
    git(host.path, "update-ref", "-d", "refs/heads/backends/evil")
