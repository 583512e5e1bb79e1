"""The server is told to stop, by one signal or by many: what is being written is answered first."""

import fcntl
import os
import signal
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from tests.e2e.harness import Site, until
from tests.samples import only_whole


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    made = Site(tmp_path)
    yield made
    if made.server is not None:
        made.kill()


def the_server(pids: list[int], number: int) -> None:
    os.kill(pids[0], number)


def all_of_them(pids: list[int], number: int) -> None:
    """As `docker stop` with an init, a terminal's Ctrl-C and systemd's KillMode=control-group do."""
    for pid in reversed(pids):
        os.kill(pid, number)


def all_of_them_twice(pids: list[int], number: int) -> None:
    all_of_them(pids, number)
    all_of_them(pids, number)


@pytest.mark.parametrize(
    ("tell", "number"),
    [
        (the_server, signal.SIGTERM),
        (all_of_them_twice, signal.SIGINT),
        pytest.param(the_server, signal.SIGINT, marks=only_whole),
        pytest.param(all_of_them, signal.SIGTERM, marks=only_whole),
        pytest.param(all_of_them, signal.SIGINT, marks=only_whole),
        pytest.param(all_of_them_twice, signal.SIGTERM, marks=only_whole),
    ],
)
def test_a_write_that_is_under_way_is_answered(
    site: Site, tell: Callable[[list[int], int], None], number: signal.Signals
) -> None:
    site.start()
    assert site.server is not None
    answers: list[httpx.Response | httpx.TransportError] = []

    def ask() -> None:
        body = {"requested_actions": ["run_all"], "backend": "tpp"}
        with site.client("alice") as alice:
            try:
                answers.append(alice.post("/api/v2/workspaces/plain/job-requests/", json=body))
            except httpx.TransportError as error:
                answers.append(error)

    with (site.repo / "jobserver.lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        thread = threading.Thread(target=ask)
        thread.start()
        until(lambda: len(waiting_for(site.repo / "jobserver.lock")) > 0)
        tell(site.processes(), number)
        until(lambda: not list(site.repo.glob("jobserver-*.sock")))  # it has begun to stop
    thread.join()
    assert site.server.wait(30) == 0
    site.server = None
    (answer,) = answers
    assert isinstance(answer, httpx.Response), answer
    assert answer.status_code == 201
    assert site.git("cat-file", "-t", answer.headers["X-Commit"]) == "commit"


def waiting_for(path: Path) -> list[str]:
    """Who waits for this lock, as the kernel says it."""
    inode = path.stat().st_ino
    return [row for row in Path("/proc/locks").read_text().splitlines() if "->" in row and f":{inode} " in row]
