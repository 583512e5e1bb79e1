"""The socket where git's `pre-receive` hook asks whether to accept a push.

Each side sends one JSON object. The hook: ``{"updates": [[old, new, ref]], "quarantine": path, "actor":
"backend/tpp"}``. The server: ``{"ok": bool, "lines": [text]}``. Only the repository's owner can connect. An empty actor
means a push on this machine: it acts as the first of ADMIN_USERS, as commands do.
"""

import contextlib
import json
import logging
import os
import secrets
import socket
import time
from pathlib import Path
from typing import Any

from jobserver.domain.base.permissions import Actor
from jobserver.errors import Error, invalid
from jobserver.service.push.judge import PushedRef
from jobserver.service.push.receiver import GitPush, Receiver, refusal_lines
from jobserver.worker import Worker, start_task

_log = logging.getLogger(__name__)
_MAX_QUESTION = 1024 * 1024
_SECONDS = 30
_BEGUN = ".begun-"
_LITTER_SECONDS = 3600.0


def answer_hook(receiver: Receiver, question: bytes, local: Actor) -> dict[str, Any]:
    """The answer to the hook's question. Never raises."""
    try:
        asked = json.loads(question)
        actor = Actor.parse(asked["actor"]) if asked["actor"] else local
        if any(len(update) != 3 for update in asked["updates"]):
            raise invalid("the name of a ref has a line break in it")
        updates = [PushedRef(*update) for update in asked["updates"]]
        quarantine = Path(asked["quarantine"]) if asked["quarantine"] else None
        return {"ok": True, "lines": receiver.receive(GitPush(updates, quarantine, actor))}
    except Error as error:
        return {"ok": False, "lines": refusal_lines(error)}
    except Exception:  # noqa: BLE001 - the last resort: a push that can't be judged is refused
        _log.exception("a push could not be judged")
        return {"ok": False, "lines": ["jobserver: a bug in the server; it has been logged, and nothing was changed"]}


class PushSocket:
    """Answers each hook in a thread of its own."""

    def __init__(self, repository: Path, receiver: Receiver, local: Actor) -> None:
        self._receiver, self._local = receiver, local
        # Process ids would not do: containers have equal ones, and cannot see each other's.
        self._path = repository / f"jobserver-{secrets.token_hex(8)}.sock"
        remove_stale_sockets(repository)
        # Through the folder's descriptor, because a socket's path may have at most 107 bytes.
        folder = os.open(repository, os.O_RDONLY | os.O_DIRECTORY)
        self._socket = socket.socket(socket.AF_UNIX)
        begun = repository / f"{_BEGUN}{self._path.name}"
        before = os.umask(0o177)
        try:
            self._socket.bind(f"/proc/self/fd/{folder}/{begun.name}")
        finally:
            os.umask(before)
            os.close(folder)
        self._socket.listen(64)
        begun.rename(self._path)  # only now, so that every hook that finds the socket gets an answer
        self._is_closing = False
        self._worker = Worker("pushes", self._accept)
        self._worker.start()

    def close(self) -> None:
        self._path.unlink(missing_ok=True)
        self._is_closing = True
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)  # ends `accept`
        self._worker.close()
        self._socket.close()

    def _accept(self) -> float | None:
        try:
            connection, _ = self._socket.accept()
        except OSError:
            if self._is_closing:
                return None
            raise
        try:
            start_task("push", lambda: self._answer(connection))
        except RuntimeError:  # no more threads: the hook judges the push itself
            connection.close()
            raise
        return 0.0

    def _answer(self, connection: socket.socket) -> None:
        with connection, contextlib.suppress(OSError):
            connection.settimeout(_SECONDS)
            question = b""
            while part := connection.recv(65536):
                question += part
                if len(question) > _MAX_QUESTION:
                    return
            if not question:  # a check whether this server still listens
                return
            connection.sendall(json.dumps(answer_hook(self._receiver, question, self._local)).encode())


def remove_stale_sockets(repository: Path) -> None:
    """Removes the sockets of killed servers."""
    for path in repository.glob("jobserver-*.sock"):
        if not _is_heard(path):
            path.unlink(missing_ok=True)
    for path in repository.glob(f"{_BEGUN}*"):
        with contextlib.suppress(FileNotFoundError):
            if time.time() - path.lstat().st_mtime > _LITTER_SECONDS:
                path.unlink()


def _is_heard(path: Path) -> bool:
    """Whether a server listens on the socket. Also True if that is uncertain, for example while the server is busy."""
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        with socket.socket(socket.AF_UNIX) as asking:
            asking.setblocking(False)
            asking.connect(f"/proc/self/fd/{folder}/{path.name}")
    except ConnectionRefusedError:
        return False
    except OSError:
        return True
    finally:
        os.close(folder)
    return True
