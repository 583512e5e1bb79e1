"""Servers with clones of one hosted repository; each test is one thing that happens."""

import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pytest

from jobserver.domain.backends import AddBackend
from jobserver.domain.job_requests.requests import CancelJobs
from jobserver.domain.workspaces import AddWorkspace
from jobserver.errors import Code, Error
from jobserver.service.push.judge import PushedRef
from jobserver.service.push.receiver import GitPush
from jobserver.service.upstream.sync import Hosted
from jobserver.service.writes.idempotency import Key
from jobserver.store.upstream import Unconfirmed
from tests.e2e.harness import git
from tests.e2e.host import Host
from tests.integration.service.upstream.machine import Machine, count
from tests.site import ADMIN, ALICE


def test_a_write_is_at_the_host_before_its_answer_and_the_other_server_sees_it(
    machines: list[Machine], host: Host
) -> None:
    first, second = machines
    done = first.ask()
    assert host.tip("backends/tpp") == done.commit
    second.refresh()
    assert second.tip("backends/tpp") == done.commit
    assert second.tip("main") == first.tip("main") == host.tip("main")


def test_a_server_that_is_behind_decides_again_on_what_is_there(machines: list[Machine], host: Host) -> None:
    first, second = machines
    for number in range(3):
        first.ask()
        second.ask()  # has not looked since
        assert count(host, "Event: job-request.created") == 2 * (number + 1)
    assert host.tip("backends/tpp") == second.tip("backends/tpp")


def test_servers_that_share_a_branch_see_who_wrote_it_and_look_before_they_push(
    machines: list[Machine], host: Host
) -> None:
    first, second = machines
    assert first.hosted.server != second.hosted.server
    for machine in (second, first, second):  # each loses to the other once, and so has seen it
        machine.ask()
    for machine in (first, second, first):
        machine.repo.writer.tries.clear()
        machine.ask()
        assert machine.repo.writer.tries == {0: 1}
        said = git(host.path, "log", "-1", "--format=%(trailers:key=Server,valueonly)", "backends/tpp")
        assert said == machine.hosted.server


def test_a_refusal_is_of_what_is_there_now(machines: list[Machine]) -> None:
    first, second = machines
    first.gate.submit(ALICE, AddWorkspace("fresh", "study", "main"), "test")
    assert second.ask(workspace="fresh").changed  # it did not know of it
    first.add("dave")
    with pytest.raises(Error) as refused:
        second.add("dave")
    assert refused.value.code is Code.CONFLICT


def test_a_backend_that_another_server_added_can_be_asked_at_once(machines: list[Machine]) -> None:
    first, second = machines
    first.gate.submit(ADMIN, AddBackend("emis", "0" * 64, "EMIS", ("full",)), "test")
    assert second.ask("emis").changed  # it knew neither of the backend nor of its branch
    with pytest.raises(Error) as refused:
        second.ask("nowhere")
    assert refused.value.code is Code.NOT_FOUND


def test_a_lost_answer_does_nothing_twice(machines: list[Machine], host: Host) -> None:
    lost = iter([True, False])
    host.drops = lambda: next(lost, False)
    done = machines[0].ask()
    assert host.tip("backends/tpp") == done.commit
    assert count(host, "Event: job-request.created") == 1


def test_a_host_whose_git_dies_while_it_takes_a_push(machines: list[Machine], host: Host) -> None:
    deaths = iter([True, True, False])
    host.dies = lambda: next(deaths, False)
    done = machines[0].ask()
    assert host.tip("backends/tpp") == done.commit
    assert count(host, "Event: job-request.created") == 1


def test_a_push_that_arrives_long_after_nobody_waits_is_found(machines: list[Machine], host: Host) -> None:
    """The answer is lost, and then the host: nobody can say; a second try with the key finds what landed meanwhile."""

    def lose() -> bool:
        host.cut_off.add(0)
        return True

    host.drops = lose
    key = Key("a" * 32, "b" * 32)
    with pytest.raises(Unconfirmed, match=r"look for Request-Id [0-9a-f]{24}") as unknown:
        machines[0].ask(key=key)
    identifier = str(unknown.value).partition("Request-Id ")[2][:24]
    assert count(host, f"Request-Id: {identifier}") == 1  # here it did
    with pytest.raises(Error, match=r"can't be reached since .* nothing was written"):
        machines[0].ask()
    host.drops = lambda: False
    host.cut_off.clear()
    machines[0].refresh()
    assert machines[0].ask(key=key).commit == host.tip("backends/tpp")
    assert machines[1].ask(key=key).commit == host.tip("backends/tpp")
    assert count(host, "Event: job-request.created") == 1


def test_a_host_that_is_down_stops_writes_at_once_and_it_heals(machines: list[Machine], host: Host) -> None:
    first = machines[0]
    done = first.ask()
    host.is_down = True
    with pytest.raises(Error) as refused:
        first.refresh()
    assert refused.value.code is Code.UNAVAILABLE
    began = host.looks
    with pytest.raises(Error, match="nothing was written"):
        first.ask()
    assert host.looks == began
    assert first.tip("backends/tpp") == done.commit
    host.is_down = False
    first.hosted.follower.start(0.02)
    while first.hosted.status.down_since:
        first.hosted.follower.hint()
    assert first.ask().changed


def test_a_host_that_takes_nothing_is_not_asked_for_ever(machines: list[Machine], host: Host) -> None:
    git(host.path, "config", "http.receivepack", "false")
    with pytest.raises(Unconfirmed, match="does not accept the push"):
        machines[0].ask()
    git(host.path, "config", "http.receivepack", "true")
    assert machines[0].ask().changed
    assert count(host, "Event: job-request.created") == 1


def pushed(machine: Machine, tmp_path: Path) -> PushedRef:
    """What an admin pushes to one of the servers; its objects are in the repository already."""
    clone = tmp_path / f"admin-{machine.number}"
    git(tmp_path, "clone", "-q", str(machine.path), clone.name)
    user = clone / "users" / "alice.yaml"
    text = user.read_text()
    user.write_text(text.replace('name: ""', f"name: Alice {machine.number}"))
    assert user.read_text() != text, text
    git(clone, "commit", "-qam", "a name")
    new = git(clone, "rev-parse", "HEAD")
    git(machine.path, "fetch", "-q", str(clone), "main")
    return PushedRef(git(clone, "rev-parse", "HEAD~1"), new, "refs/heads/main")


def test_a_push_to_a_server_is_at_the_host_before_git_says_yes(
    machines: list[Machine], host: Host, tmp_path: Path
) -> None:
    first, second = machines
    second.refresh()
    update, late = pushed(first, tmp_path), pushed(second, tmp_path)
    first.receiver.receive(GitPush([update], None, ADMIN))
    assert host.tip("main") == update.new
    with pytest.raises(Error, match="fetch first"):
        second.receiver.receive(GitPush([late], None, ADMIN))
    assert host.tip("main") == update.new
    git(first.path, "update-ref", update.ref, update.new, update.old)  # what git does next
    second.refresh()
    assert second.tip("main") == update.new


def test_a_slow_host_is_pushed_to_rarely_and_cancels_do_not_wait(
    tmp_path: Path, machines: list[Machine], host: Host
) -> None:
    slow = Machine(tmp_path / "servers", host, 2, per_minute=0.1)  # one in ten minutes
    try:
        slow.hosted._limit._next = 0
        written = slow.ask()
        request = written.changes.result["identifier"]
        before = host.pushes
        cancelled = slow.gate.submit(ALICE, CancelJobs(request, "tpp", ()), "test")
        assert host.pushes == before + 1
        assert host.tip("backends/tpp") == cancelled.commit
    finally:
        slow.close()


def test_an_empty_host_is_not_taken_for_the_truth(machines: list[Machine], host: Host, tmp_path: Path) -> None:
    moved = host.path.rename(tmp_path / "elsewhere.git")
    git(tmp_path, "init", "-q", "--bare", str(host.path))
    with pytest.raises(Error, match="is empty, but this repository is not"):
        machines[0].refresh()
    with pytest.raises(Error, match="nothing was written"):
        machines[0].ask()
    subprocess.run(["rm", "-r", host.path], check=True)
    moved.rename(host.path)
    machines[0].refresh()
    assert machines[0].ask().changed


def test_a_server_that_starts_without_its_host_knows_how_old_its_state_is(machines: list[Machine], host: Host) -> None:
    """Found by the torture: it did not say, so that what it answered looked as new as the answer."""
    first = machines[0]
    first.refresh()
    seen = first.hosted.status.seen_at
    host.is_down = True
    again = Hosted(first.repo, first.remote, first.clock)
    assert again.status.seen_at == seen
    with pytest.raises(Error):
        again.refresh()
    assert again.status.seen_at == seen
    (first.path / "jobserver.seen").unlink()
    assert Hosted(first.repo, first.remote, first.clock).status.seen_at == datetime.fromtimestamp(0, UTC)


def test_a_disk_that_refuses_what_others_wrote_makes_nothing_look_newer(
    machines: list[Machine], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Found by the torture: the branch could not be moved here, and reads still said that they were as of now."""
    first, second = machines
    second.refresh()
    before = second.hosted.status.seen_at

    def full(*_: object) -> bool:
        raise OSError(28, "No space left on device")

    first.ask()
    with monkeypatch.context() as patched:
        patched.setattr(second.repo.writer.refs, "move", full)
        second.refresh()
        assert second.hosted.status.seen_at == before
        assert not second.hosted.status.problem
    second.refresh()
    assert second.hosted.status.seen_at != before
    assert second.tip("backends/tpp") == first.tip("backends/tpp")
