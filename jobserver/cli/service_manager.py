"""What systemd asks of a service: a port that it holds, and messages that the server is ready and alive.

Protocols: sd_listen_fds(3), sd_notify(3), sd_watchdog_enabled(3). Without systemd, each function does nothing.
"""

import os
import socket
from collections.abc import Callable

from jobserver.worker import Worker

_FIRST_FD = 3


def inherited_socket() -> socket.socket | None:
    """The socket that systemd listens at for this process; None where it holds none. Takes it: ask once."""
    if os.environ.pop("LISTEN_PID", "") != str(os.getpid()) or os.environ.pop("LISTEN_FDS", "") != "1":
        return None
    os.set_inheritable(_FIRST_FD, False)  # git and other children must not keep the port
    return socket.socket(fileno=_FIRST_FD)


def notify(state: str) -> None:
    """``state``: such as ``READY=1``. A service manager that is gone is no reason to stop serving."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address:
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
        try:
            sender.sendto(state.encode(), "\0" + address[1:] if address.startswith("@") else address)
        except OSError:
            return


def start_watchdog(is_alive: Callable[[], bool]) -> None:
    """Tells systemd twice in each WatchdogSec= that this process answers, for as long as ``is_alive`` says so."""
    microseconds = int(os.environ.get("WATCHDOG_USEC", "0") or 0)
    if not microseconds:
        return
    pause = microseconds / 2_000_000

    def step() -> float:
        if is_alive():
            notify("WATCHDOG=1")
        return pause

    Worker("watchdog", step).start(pause)
