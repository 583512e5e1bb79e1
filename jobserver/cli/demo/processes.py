"""The server and the runners of the demo: the real commands, each in a process of its own."""

import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import httpx

from jobserver.config.settings import Settings
from jobserver.errors import unavailable
from jobserver.store.proxies import none_for

PATIENCE_SECONDS = 120.0


def free_port(*first: int) -> int:
    """The first of these that is free, or any other port."""
    for wanted in (*first, 0):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", wanted))
            except OSError:
                continue
            port: int = probe.getsockname()[1]
            return port
    raise unavailable("no port is free")


def environment_of(folder: Path, url: str) -> dict[str, str]:
    """The settings of the demo. Those of the environment are for other servers, and are unset."""
    return dict.fromkeys(map(str.upper, Settings.model_fields), "") | {
        "SECRET_KEY": secrets.token_urlsafe(32),
        "BASE_URL": url,
        "STATE_REPO": str(folder / "state.git"),
        "ADMIN_USERS": "admin",
        "STUDY_REPOS": str(folder / "studies"),
    }


@contextmanager
def process(log: Path, environment: Mapping[str, str], *arguments: str) -> Iterator[None]:
    """Runs a command of jobserver until the block ends."""
    with log.open("ab") as file:
        started = subprocess.Popen(
            [sys.executable, "-m", "jobserver", *arguments],
            stdout=file,
            stderr=file,
            stdin=subprocess.DEVNULL,
            env={**os.environ, **none_for("127.0.0.1"), **environment},
            start_new_session=True,  # Ctrl-C reaches only this process, which then stops the others in order
        )
        try:
            yield
        finally:
            started.send_signal(signal.SIGTERM)
            started.wait()


def wait_for_server(api: httpx.Client, log: Path) -> None:
    ends = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < ends:
        try:
            if api.get("/health-check/").status_code == 200:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.1)
    raise unavailable(f"the server did not start; see {log}")
