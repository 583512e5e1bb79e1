"""Where git's `pre-receive` hook asks for a verdict: a socket in the repository's folder, and what is said over it.

One JSON object each way: ``{"updates": [[old, new, ref]], "quarantine": path, "actor": "backend/tpp"}``, answered by
``{"ok": bool, "lines": [text]}``. Only the repository's owner can connect. An empty actor is somebody at the
repository itself (a local push): they act as the first of ADMIN_USERS, as the command line does.
"""

import contextlib
import json
import logging
import os
import socket
import threading
from pathlib import Path
from typing import Any

from jobserver.domain.permissions import Actor
from jobserver.errors import Error, invalid
from jobserver.service.receive import Pushed, Receiver, Update, lines

_log = logging.getLogger(__name__)
_MAX_QUESTION = 1024 * 1024
_SECONDS = 30


def verdict(receiver: Receiver, question: bytes, local: Actor) -> dict[str, Any]:
    """The answer to what the hook asks; never raises."""
    try:
        asked = json.loads(question)
        actor = Actor.parse(asked["actor"]) if asked["actor"] else local
        if any(len(update) != 3 for update in asked["updates"]):
            raise invalid("the name of a ref has a line break in it")
        updates = [Update(*update) for update in asked["updates"]]
        quarantine = Path(asked["quarantine"]) if asked["quarantine"] else None
        return {"ok": True, "lines": receiver.receive(Pushed(updates, quarantine, actor))}
    except Error as error:
        return {"ok": False, "lines": lines(error)}
    except Exception:  # noqa: BLE001 - the last resort: a push that can't be judged is refused
        _log.exception("a push could not be judged")
        return {"ok": False, "lines": ["jobserver: a bug in the server; it has been logged, and nothing was changed"]}


class PushSocket:
    """Answers hooks from threads of its own."""

    def __init__(self, repository: Path, receiver: Receiver, local: Actor) -> None:
        self._receiver, self._local = receiver, local
        self._path = repository / f"jobserver-{os.getpid()}.sock"
        _sweep(repository)
        # By way of the folder's descriptor: a socket's name may have 107 bytes only.
        folder = os.open(repository, os.O_RDONLY | os.O_DIRECTORY)
        self._socket = socket.socket(socket.AF_UNIX)
        before = os.umask(0o177)
        try:
            self._socket.bind(f"/proc/self/fd/{folder}/{self._path.name}")
        finally:
            os.umask(before)
            os.close(folder)
        self._socket.listen(64)
        self._thread = threading.Thread(target=self._run, name="pushes", daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._path.unlink(missing_ok=True)
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self._thread.join()

    def _run(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            threading.Thread(target=self._answer, args=(connection,), name="push", daemon=True).start()

    def _answer(self, connection: socket.socket) -> None:
        with connection, contextlib.suppress(OSError):
            connection.settimeout(_SECONDS)
            question = b""
            while part := connection.recv(65536):
                question += part
                if len(question) > _MAX_QUESTION:
                    return
            connection.sendall(json.dumps(verdict(self._receiver, question, self._local)).encode())


def _sweep(repository: Path) -> None:
    """Sockets of servers that were killed."""
    for path in repository.glob("jobserver-*.sock"):
        pid = path.stem.removeprefix("jobserver-")
        if not (pid.isdecimal() and Path("/proc", pid).exists()):
            path.unlink(missing_ok=True)
