"""Servers with clones of one hosted repository, a real `git http-backend`; each test is one thing that happens."""

import contextlib
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from jobserver.audit.verify import verify
from jobserver.domain import commands as c
from jobserver.domain.permissions import SERVER, Role
from jobserver.errors import Code, Error, unavailable
from jobserver.service.gate import Gate
from jobserver.service.hosted import Hosted
from jobserver.service.idempotency import Key
from jobserver.service.receive import Pushed, Receiver, Update
from jobserver.store.authority import Unconfirmed
from jobserver.store.batch import Written
from jobserver.store.remote import Remote
from jobserver.store.repo import StateRepo
from tests.e2e.harness import git
from tests.e2e.host import Host
from tests.site import ADMIN, ALICE, PIPELINE, TEMPLATES, Seeded


class Machine:
    """A server with a clone of its own."""

    def __init__(self, folder: Path, host: Host, number: int, per_minute: float = 0) -> None:
        folder.mkdir(exist_ok=True)
        self.number, self.late = number, timedelta()
        self.path = folder / f"{number}.git"
        self.remote = Remote(self.path, host.url(number), patience=0.1)
        self.joined: list[Hosted] = []

        def join(repo: StateRepo) -> None:
            hosted = Hosted(repo, self.remote, self.clock, per_minute)
            repo.writer.authority = hosted
            self.joined.append(hosted)
            with repo.writer.locked():
                hosted.refresh()

        self.repo = StateRepo.create(self.path, folder / "key", "jobs.example", TEMPLATES, self.clock(), join)
        self.hosted = self.joined[0]
        self.gate = Gate(self.repo, self.clock, Seeded(number))
        self.receiver = Receiver(self.repo, self.gate, self.clock, hosted=self.hosted)

    def clock(self) -> datetime:
        return datetime.now(UTC) + self.late

    def add(self, username: str) -> Written:
        return self.gate.submit(ADMIN, c.AddUser(username), "test")

    def ask(self, backend: str = "tpp", workspace: str = "trends", key: Key | None = None) -> Written:
        return self.gate.submit(ALICE, c.RequestJobs(workspace, backend, ("run_all",), "0" * 40, PIPELINE), "test", key)

    def refresh(self) -> None:
        with self.repo.writer.locked():
            self.hosted.refresh()

    def tip(self, branch: str) -> str | None:
        return self.repo.writer.refs.tip(branch)

    def close(self) -> None:
        self.hosted.close()
        self.gate.close()
        self.repo.close()


@pytest.fixture
def host(tmp_path: Path) -> Iterator[Host]:
    host = Host(tmp_path / "host", 3, "servers:a-secret")
    yield host
    host.close()


@pytest.fixture
def machines(tmp_path: Path, host: Host) -> Iterator[list[Machine]]:
    first = Machine(tmp_path / "servers", host, 0)
    first.gate.submit(SERVER, c.EnsureAdmin("admin"), "test")
    first.gate.submit(ADMIN, c.AddBackend("tpp", "a" * 64, databases=("full",)), "test")
    first.gate.submit(ADMIN, c.AddUser("alice", roles=(Role.CORE_DEVELOPER,)), "test")
    first.gate.submit(ALICE, c.AddWorkspace("trends", "study", "main"), "test")
    second = Machine(tmp_path / "servers", host, 1)
    yield [first, second]
    for machine in (first, second):
        machine.close()
    host.is_down = False
    assert not verify(host.path).problems


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


def count(host: Host, trailer: str, branch: str = "backends/tpp") -> int:
    return git(host.path, "log", "--format=%B", branch).count(trailer)


def test_what_one_writes_is_there_before_it_answers_and_the_other_sees_it(machines: list[Machine], host: Host) -> None:
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
    second.ask()
    first.ask()  # has lost, and so has seen the other
    for machine in (second, first, second):
        machine.repo.writer.tries.clear()
        machine.ask()
        assert machine.repo.writer.tries == {0: 1}
        said = git(host.path, "log", "-1", "--format=%(trailers:key=Server,valueonly)", "backends/tpp")
        assert said == machine.hosted.server


def test_a_refusal_is_of_what_is_there_now(machines: list[Machine]) -> None:
    first, second = machines
    first.gate.submit(ALICE, c.AddWorkspace("fresh", "study", "main"), "test")
    assert second.ask(workspace="fresh").changed  # it did not know of it
    first.add("dave")
    with pytest.raises(Error) as refused:
        second.add("dave")
    assert refused.value.code is Code.CONFLICT


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
    first.hosted.start(0.02)
    while first.hosted.down_since:
        first.hosted.hint()
    assert first.ask().changed


def test_a_host_that_takes_nothing_is_not_asked_for_ever(machines: list[Machine], host: Host) -> None:
    git(host.path, "config", "http.receivepack", "false")
    with pytest.raises(Unconfirmed, match="does not take it"):
        machines[0].ask()
    git(host.path, "config", "http.receivepack", "true")
    assert machines[0].ask().changed
    assert count(host, "Event: job-request.created") == 1


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
    assert first.hosted.pending("main") == (before, made)
    with pytest.raises(Error, match="may not push"):
        first.receiver.adopt("main", before, made, ALICE)
    first.receiver.adopt("main", before, made, ADMIN)
    for machine in machines:
        machine.refresh()
        assert not machine.hosted.frozen
        assert machine.tip("main") == made
    assert machines[1].add("dave").changed


def test_what_could_not_have_been_pushed_can_only_be_taken_away(
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
    with pytest.raises(Error, match="reset it there to"):
        first.hosted.pending("backends/tpp")
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


def pushed(machine: Machine, tmp_path: Path) -> Update:
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
    return Update(git(clone, "rev-parse", "HEAD~1"), new, "refs/heads/main")


def test_a_push_to_a_server_is_at_the_host_before_git_says_yes(
    machines: list[Machine], host: Host, tmp_path: Path
) -> None:
    first, second = machines
    second.refresh()
    update, late = pushed(first, tmp_path), pushed(second, tmp_path)
    first.receiver.receive(Pushed([update], None, ADMIN))
    assert host.tip("main") == update.new
    with pytest.raises(Error, match="fetch first"):
        second.receiver.receive(Pushed([late], None, ADMIN))
    assert host.tip("main") == update.new
    git(first.path, "update-ref", update.ref, update.new, update.old)  # what git does next
    second.refresh()
    assert second.tip("main") == update.new


def test_a_slow_host_is_pushed_to_rarely_and_cancels_do_not_wait(
    tmp_path: Path, machines: list[Machine], host: Host
) -> None:
    slow = Machine(tmp_path / "servers", host, 2, per_minute=0.1)  # one in ten minutes
    try:
        slow.hosted._pace._next = 0
        written = slow.ask()
        request = written.changes.result["identifier"]
        before = host.pushes
        cancelled = slow.gate.submit(ALICE, c.CancelJobs(request, "tpp", ()), "test")
        assert host.pushes == before + 1
        assert host.tip("backends/tpp") == cancelled.commit
    finally:
        slow.close()


def test_a_key_that_main_does_not_name_writes_nothing(tmp_path: Path, machines: list[Machine], host: Host) -> None:
    before = host.tip("main")
    stranger = Machine(tmp_path / "other", host, 2)  # has made a key of its own
    try:
        with pytest.raises(Error, match="not named by main's allowed_signers"):
            stranger.add("dave")
    finally:
        stranger.close()
    assert host.tip("main") == before


def test_an_empty_host_is_not_taken_for_the_truth(machines: list[Machine], host: Host, tmp_path: Path) -> None:
    moved = host.path.rename(tmp_path / "elsewhere.git")
    git(tmp_path, "init", "-q", "--bare", str(host.path))
    with pytest.raises(Error, match="is empty, and this repository is not"):
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
    seen = first.hosted.seen_at
    host.is_down = True
    again = Hosted(first.repo, first.remote, first.clock)
    assert again.seen_at == seen
    with pytest.raises(Error):
        again.refresh()
    assert again.seen_at == seen
    (first.path / "jobserver.seen").unlink()
    assert Hosted(first.repo, first.remote, first.clock).seen_at == datetime.fromtimestamp(0, UTC)


def test_a_disk_that_refuses_what_others_wrote_makes_nothing_look_newer(
    machines: list[Machine], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Found by the torture: the branch could not be moved here, and reads still said that they were as of now."""
    first, second = machines
    second.refresh()
    before = second.hosted.seen_at

    def full(*_: object) -> bool:
        raise OSError(28, "No space left on device")

    first.ask()
    with monkeypatch.context() as patched:
        patched.setattr(second.repo.writer.refs, "move", full)
        second.refresh()
        assert second.hosted.seen_at == before
        assert not second.hosted.problem
    second.refresh()
    assert second.hosted.seen_at != before
    assert second.tip("backends/tpp") == first.tip("backends/tpp")


def test_what_can_not_be_judged_just_now_is_judged_again_and_makes_nothing_look_newer(
    machines: list[Machine], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A git that failed once froze a branch until it moved again, and reads said that they were as of now."""
    first, second = machines
    second.refresh()
    before = second.hosted.seen_at

    def fails(*_: object) -> str:
        raise unavailable("git was killed")

    first.ask()
    with monkeypatch.context() as patched:
        patched.setattr(second.hosted._foreign, "signers_at", fails)
        second.refresh()
        assert "git was killed" in second.hosted.frozen["backends/tpp"]
        assert second.hosted.seen_at == before
    second.refresh()
    assert not second.hosted.frozen
    assert second.hosted.seen_at != before
    assert second.tip("backends/tpp") == first.tip("backends/tpp")


def test_credentials_are_shown_to_nobody(tmp_path: Path, host: Host) -> None:
    remote = Remote(tmp_path, host.url())
    assert remote.tips() == {}
    assert "a-secret" not in remote.url
    wrong = Remote(tmp_path, host.url().replace("a-secret", "another"))
    with pytest.raises(Error) as refused:
        wrong.tips()
    assert "another" not in str(refused.value)
    with pytest.raises(Error, match="STATE_REMOTE"):
        Remote(tmp_path, "ftp://x")


def test_a_host_that_hangs_has_a_time_limit(tmp_path: Path, host: Host) -> None:
    host.delay = 1
    remote = Remote(tmp_path, host.url(), patience=0.01)
    with pytest.raises(Error, match="did not answer"):
        remote.tips()
    with contextlib.suppress(Error):
        remote.push({"main": (None, "0" * 40)})
