"""What systemd does for the server, done by a test: the port it holds, READY=1 and the watchdog."""

import contextlib
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.e2e.harness import Site, until
from tests.samples import only_whole

# As systemd does: the socket is number 3, and the environment says for which process it is.
_EXEC = """\
import os, sys
os.dup2(int(sys.argv[1]), 3)
os.environ |= {"LISTEN_FDS": "1", "LISTEN_PID": str(os.getpid())}
os.execv(sys.executable, [sys.executable, "-m", "jobserver", "serve"])
"""


class Manager:
    """The socket and the messages of one service."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self.socket = socket.create_server(("127.0.0.1", site.port), backlog=2048)
        self._address = site.folder / "notify"
        self._messages = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._messages.bind(str(self._address))
        self._messages.settimeout(30)

    def start(self, **more: str) -> "subprocess.Popen[bytes]":
        """Returns once the server has said that it is ready."""
        process = subprocess.Popen(
            [sys.executable, "-c", _EXEC, str(self.socket.fileno())],
            env={**self.site.env, "NOTIFY_SOCKET": str(self._address), "PORT": "1", **more},
            cwd=self.site.folder,
            pass_fds=[self.socket.fileno()],
        )
        assert self.message() == "READY=1"
        return process

    def message(self) -> str:
        return self._messages.recv(4096).decode()

    def close(self) -> None:
        self.socket.close()
        self._messages.close()


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[Manager]:
    made = Manager(Site(tmp_path))
    yield made
    made.close()
    made.site.check_record()


@only_whole
def test_a_restart_refuses_no_connection_and_loses_no_poll(manager: Manager) -> None:
    """A call that arrives in the very moment of the stop may lose its connection; asked again, it is answered."""
    stop = threading.Event()
    answers: list[int] = []
    errors: list[httpx.TransportError] = []
    server = manager.start()

    def poll(wait: int) -> None:
        with manager.site.client("tpp", Connection="close") as tpp:
            tag = tpp.get("/api/v2/job-requests/").headers["ETag"]
            headers = {"If-None-Match": tag, "Prefer": f"wait={wait}"}
            while not stop.is_set():
                try:
                    status = tpp.get("/api/v2/job-requests/", headers=headers).status_code
                except httpx.RemoteProtocolError:
                    status = tpp.get("/api/v2/job-requests/", headers=headers).status_code
                except httpx.TransportError as error:
                    errors.append(error)
                    continue
                answers.append(status)

    pollers = [threading.Thread(target=poll, args=(wait,)) for wait in (0, 0, 3)]
    for poller in pollers:
        poller.start()
    for _ in range(2):
        time.sleep(1)
        server.terminate()
        assert server.wait(30) == 0
        server = manager.start()
    stop.set()
    for poller in pollers:
        poller.join(30)
    server.terminate()
    assert server.wait(30) == 0
    assert errors == [], [repr(error) for error in errors]
    assert set(answers) == {304}


def test_the_watchdog_hears_of_a_server_that_answers_and_not_of_one_that_hangs(manager: Manager) -> None:
    server = manager.start(WATCHDOG_USEC="1000000")
    assert [manager.message() for _ in range(3)] == ["WATCHDOG=1"] * 3
    serving = int(Path(f"/proc/{server.pid}/task/{server.pid}/children").read_text().split()[0])
    os.kill(serving, 19)  # SIGSTOP
    manager._messages.settimeout(2)
    with contextlib.suppress(TimeoutError):
        manager.message()  # one may have been on its way
        with pytest.raises(TimeoutError):
            manager.message()
    os.kill(serving, 18)  # SIGCONT
    server.terminate()
    assert server.wait(30) == 0


def test_a_server_that_is_not_meant_leaves_the_socket_alone(manager: Manager, tmp_path: Path) -> None:
    """LISTEN_PID names another process: a service's child that runs a server of its own."""
    site = Site(tmp_path / "other")
    site.env |= {"LISTEN_PID": "1", "LISTEN_FDS": "1"}
    site.start()
    until(lambda: site.get("/health-check/").status_code == 200)
    site.stop()
