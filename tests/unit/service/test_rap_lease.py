"""Of several servers exactly one calls, whoever dies, and whichever answers are lost."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from jobserver.errors import unavailable
from jobserver.service.rap.lease import HOLD_SECONDS, RENEW_SECONDS, Lease


class Host:
    """The ref of the hosted repository. ``is_down``: no answer. ``is_late``: moves arrive after the answer was due."""

    def __init__(self) -> None:
        self.value, self.is_down, self.is_late = "", False, False
        self.late: tuple[str, str] | None = None

    def object_of(self, text: str) -> str:
        return text

    def read(self) -> str:
        if self.is_down:
            raise unavailable("no answer")
        return self.value

    def move(self, old: str, new: str) -> None:
        if self.is_late:  # it arrives after the answer was given up
            self.late = old, new
        elif not self.is_down and self.value == old:
            self.value = new

    def arrive(self) -> None:
        assert self.late is not None
        self.is_late = False
        self.move(*self.late)


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


class Server:
    def __init__(self, folder: Path, name: str, host: Host, clock: Clock) -> None:
        self.lease = Lease(folder / f"{name}.lock", name, host, clock)
        self.due, self.clock, self.is_alive = clock.now, clock, True

    def run(self) -> None:
        if self.is_alive and self.clock.now >= self.due:
            self.due = self.clock.now + self.lease.step()


def holders(servers: list[Server]) -> list[int]:
    return [number for number, server in enumerate(servers) if server.is_alive and server.lease.is_held()]


@pytest.fixture
def host() -> Host:
    return Host()


@pytest.fixture
def servers(tmp_path: Path, host: Host) -> Iterator[list[Server]]:
    clock = Clock()
    made = [Server(tmp_path, name, host, clock) for name in ("a", "b", "c")]
    yield made
    for server in made:
        server.lease.close()


def play(servers: list[Server], seconds: float) -> set[int]:
    """Everybody who held it meanwhile; never two at once."""
    seen: set[int] = set()
    ends = servers[0].clock.now + seconds
    while servers[0].clock.now < ends:
        for server in servers:
            server.run()
            now = holders(servers)
            assert len(now) <= 1
            seen.update(now)
        servers[0].clock.now += 1.0
    return seen


def test_one_of_them_calls_and_goes_on(servers: list[Server]) -> None:
    assert play(servers, 600) == {0}


def test_after_a_death_another_takes_over_and_not_before_the_lease_has_ended(servers: list[Server]) -> None:
    play(servers, 30)
    servers[0].is_alive = False
    assert play(servers, HOLD_SECONDS - RENEW_SECONDS) == set()
    taken = play(servers, 3 * HOLD_SECONDS)
    assert len(taken) == 1
    servers[0].is_alive = True  # it was only suspended, and finds out
    assert play(servers, 600) == taken


def test_a_server_that_stops_gives_it_back_at_once(servers: list[Server]) -> None:
    play(servers, 30)
    servers[0].lease.close()
    servers[0].is_alive = False
    assert len(play(servers, RENEW_SECONDS)) == 1


def test_nobody_calls_for_long_while_the_host_is_down_and_then_one_does(servers: list[Server], host: Host) -> None:
    play(servers, 30)
    host.is_down = True
    play(servers, HOLD_SECONDS)
    assert play(servers, 300) == set()
    host.is_down = False
    assert len(play(servers, 600)) == 1


def test_a_move_whose_answer_was_lost_is_still_ours(servers: list[Server], host: Host) -> None:
    play(servers, 10)
    host.is_late = True
    play(servers, RENEW_SECONDS)
    host.arrive()
    assert play(servers, 600) == {0}


class Link(Host):
    """One server's own way to the host. ``first``: who is faster with the next move."""

    def __init__(self, host: Host) -> None:
        super().__init__()
        self.host = host
        self.first: Lease | None = None

    def read(self) -> str:
        if self.is_down:
            raise unavailable("no answer")
        return self.host.read()

    def move(self, old: str, new: str) -> None:
        if self.first is not None:
            self.first.step()
            self.first = None
        if not self.is_down:
            self.host.move(old, new)


@pytest.fixture
def link(host: Host) -> Link:
    return Link(host)


@pytest.fixture
def pair(tmp_path: Path, host: Host, link: Link) -> Iterator[list[Server]]:
    """Copies of a machine: the same server id."""
    clock, folders = Clock(), [tmp_path / "1", tmp_path / "2"]
    for folder in folders:
        folder.mkdir()
    servers = [Server(folder, "same", way, clock) for folder, way in zip(folders, (host, link), strict=True)]
    yield servers
    for server in servers:
        server.lease.close()


def test_copies_of_a_machine_are_two_servers(pair: list[Server], link: Link) -> None:
    link.first = pair[0].lease
    pair[1].run()
    assert holders(pair) == [0]
    assert play(pair, 600) == {0}


def test_a_value_that_comes_again_after_a_server_could_not_look_has_moved(
    pair: list[Server], host: Host, link: Link
) -> None:
    play(pair, 100)
    link.is_down, value = True, host.value
    play(pair, RENEW_SECONDS * 2)
    while host.value != value:
        play(pair, 1)
    link.is_down = False
    pair[1].due = pair[1].clock.now
    assert play(pair, 600) == {0}


def test_one_process_of_a_machine_has_the_lock(tmp_path: Path) -> None:
    first, second = Lease(tmp_path / "lock"), Lease(tmp_path / "lock")
    first.step()
    second.step()
    assert (first.is_held(), second.is_held()) == (True, False)
    first.close()
    second.step()
    assert second.is_held()
    second.close()
