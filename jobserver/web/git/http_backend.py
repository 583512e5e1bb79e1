"""Runs `git http-backend`, with git's settings for what the caller may see and push."""

import contextlib
import shlex
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

from bottle import HTTPResponse, request

from jobserver.domain.base.permissions import Actor, ActorKind
from jobserver.errors import unavailable
from jobserver.store.git.command import environment, start
from jobserver.web import http
from jobserver.web.git import active_pack
from jobserver.web.git.access import Access
from jobserver.web.git.cgi import Exchange
from jobserver.web.git.push_guard import MAX_PUSH as MAX_BACKEND_PUSH

UPLOAD_PACK, RECEIVE_PACK = "git-upload-pack", "git-receive-pack"
"""The services: a fetch, and a push."""
MAX_PUSH = 64 * 1024 * 1024
_PACK_ACTIVE_ONLY = "exec " + shlex.join([sys.executable, "-I", "-S", active_pack.__file__])
"""git hands this to a shell, and ends only that when the client has gone: so the shell must be replaced."""
_PROCESSES = 32
_PER_CALLER = {ActorKind.BACKEND: 4, ActorKind.USER: 8}  # a backend has one runner


class HttpBackend:
    """Thread-safe. A limited number of processes at once, for each caller and in all."""

    def __init__(self, repository: Path) -> None:
        self._repository = repository
        self._slots = threading.BoundedSemaphore(_PROCESSES)
        self._guard = threading.Lock()
        self._turns: dict[tuple[str, str], threading.BoundedSemaphore] = {}

    @contextlib.contextmanager
    def turn(self, actor: Actor, step: str) -> Iterator[None]:
        """One of the few that this caller has at a time for this step. Raises `Error` (unavailable)."""
        limit = _PER_CALLER[actor.kind]
        with self._guard:
            turns = self._turns.setdefault((str(actor), step), threading.BoundedSemaphore(limit))
        if not turns.acquire(timeout=1):
            raise unavailable(f"{actor.name} already has {limit} git requests in progress: try again later")
        try:
            yield
        finally:
            turns.release()

    def respond(
        self, access: Access, path: str, service: str, body: bytes = b"", *, is_active_only: bool = False
    ) -> HTTPResponse:
        """git's answer to the request at ``path`` below the repository, streamed. Raises `Error` (unavailable).

        ``is_active_only``: a fetch leaves out what `active_pack` omits.
        """
        with ExitStack() as held:
            held.enter_context(self.turn(access.actor, "process"))
            if not self._slots.acquire(timeout=10):
                raise unavailable("too many git requests at once: try again later")
            held.callback(self._slots.release)
            process = start(
                ["http-backend"],
                self._variables(access, path, service, is_active_only),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                cwd=self._repository,
            )
            exchange = Exchange(process, held.pop_all().close)
        try:
            exchange.feed(body)
            status, headers = exchange.head()
        except BaseException:
            exchange.close()
            raise
        return HTTPResponse(exchange, status, headers)

    def _variables(self, access: Access, path: str, service: str, is_active_only: bool) -> dict[str, str]:
        """The environment of CGI (RFC 3875, git-http-backend(1)).

        Without CONTENT_LENGTH: with it, git would wait busily for bytes that a client who went never sends.
        """
        variables = git_environment(access, service, is_active_only=is_active_only) | {
            "GIT_PROJECT_ROOT": str(self._repository),
            "GIT_HTTP_EXPORT_ALL": "1",
            "PATH_INFO": f"/{path}",
            "QUERY_STRING": f"service={service}" if path == "info/refs" else "",
            "REQUEST_METHOD": request.method,
            "CONTENT_TYPE": request.environ.get("CONTENT_TYPE", ""),
            "REMOTE_USER": str(access.actor),
            "REMOTE_ADDR": request.environ.get("REMOTE_ADDR", ""),
        }
        if protocol := variables.pop("GIT_PROTOCOL", ""):
            variables["HTTP_GIT_PROTOCOL"] = protocol
        if not access.ref and (encoding := http.header("Content-Encoding")):  # a backend's body is decoded already
            variables["HTTP_CONTENT_ENCODING"] = encoding
        return variables


def git_environment(access: Access, service: str, *, is_active_only: bool = False) -> dict[str, str]:
    """git's environment: settings that hide other refs, limit the push, and pass the caller on to the hook."""
    config = {
        "http.receivepack": str(access.may_push).lower(),
        "http.uploadpack": "true",
        "http.getanyfile": "false",
        "receive.fsckObjects": "true",
        "transfer.unpackLimit": "1",
        "receive.maxInputSize": str(MAX_BACKEND_PUSH if access.ref else MAX_PUSH),
        "uploadpack.allowFilter": str(not access.ref).lower(),
    }
    if is_active_only:
        config["uploadpack.packObjectsHook"] = _PACK_ACTIVE_ONLY
    pairs = list(config.items())
    if access.ref:
        # The last match counts. HEAD is not below refs/, and names main: if it were visible, git would serve all of
        # main to anyone who wants its tip by ID.
        pairs += [("transfer.hideRefs", hidden) for hidden in ("HEAD", "refs/", f"!{access.ref}")]
    variables = environment(pairs, JOBSERVER_ACTOR=str(access.actor))
    protocol = http.header("Git-Protocol") or ""
    if not access.ref and service == UPLOAD_PACK and protocol.isascii() and protocol.isprintable():
        variables["GIT_PROTOCOL"] = protocol[:100]
    return variables
