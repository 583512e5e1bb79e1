"""Git over HTTP at /state.git: `git http-backend` behind our authentication, streamed both ways.

What a caller may not see is hidden from git itself (`transfer.hideRefs`), and a backend is spoken to in protocol v0: v2
hands out any object by its id (gitprotocol-v2(5)). v0 does so too where that is a tree or a file, and a push's deltas
may be of any object: so what a backend wants and what it sends is looked at here first. Refs are listed to backends by
this process, because that is what they ask for all day.
Formats: gitprotocol-http(5), gitprotocol-pack(5).
"""

import base64
import binascii
import contextlib
import subprocess
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass

from bottle import HTTPResponse, request

from jobserver.domain.base import layout
from jobserver.domain.base.permissions import Actor, ActorKind, Permission
from jobserver.domain.base.rights import permissions_of
from jobserver.errors import Code, Error, forbidden, unauthenticated, unavailable
from jobserver.store.git.command import environment, run, start
from jobserver.store.git.revisions import commits_in
from jobserver.web import http
from jobserver.web.authentication import Callers
from jobserver.web.errors import guarded, message_of, retry_after
from jobserver.web.git.cgi import Exchange
from jobserver.web.git.fetch_request import Fetch, packet, plain
from jobserver.web.git.push_guard import MAX_PUSH, refusal, without_shallow
from jobserver.web.services import Services

_UPLOAD, _RECEIVE = "git-upload-pack", "git-receive-pack"
_REALM = {"WWW-Authenticate": 'Basic realm="jobserver: any user name, a token as the password", charset="UTF-8"'}
_MAX_PUSH = 64 * 1024 * 1024
_PROCESSES = 32
_EACH = {ActorKind.BACKEND: 4, ActorKind.USER: 8}  # of one backend, which has one runner; of one person


@dataclass(frozen=True, slots=True)
class Access:
    """``ref``: the only one to be seen; empty: all of them."""

    actor: Actor
    ref: str
    may_push: bool


class StateGit:
    def __init__(self, services: Services, callers: Callers) -> None:
        self._repo, self._index, self._callers = services.repo, services.index, callers
        self._slots = threading.BoundedSemaphore(_PROCESSES)
        self._guard = threading.Lock()
        self._turns: dict[tuple[str, str], threading.BoundedSemaphore] = {}
        self._capabilities = b""

    def call(self, rest: str) -> HTTPResponse:
        """Any request below /state.git."""
        return guarded(lambda: self._serve(self._access(), rest), _refused)

    def _access(self) -> Access:
        actor = self._callers.of_git(_password())
        if actor.kind is ActorKind.BACKEND:
            return Access(actor, f"refs/heads/{layout.backend_branch(actor.name)}", True)
        directory = self._index.directory()
        user = directory.user(actor.name)
        rights = permissions_of(directory, user) if user else frozenset()
        if Permission.ADMINISTER in rights:
            return Access(actor, "", True)
        if Permission.READ_ALL in rights:
            return Access(actor, "", False)
        raise forbidden(f"{actor.name} may not read the state repository: SuperUsers, Auditors and backends may")

    def _serve(self, access: Access, rest: str) -> HTTPResponse:
        method, service = request.method, request.query.get("service", "")
        if method == "GET" and rest == "info/refs" and service in (_UPLOAD, _RECEIVE):
            if service == _RECEIVE and not access.may_push:
                raise forbidden(f"{access.actor.name} may read, and not push")
            if service == _UPLOAD and access.ref:
                return self._advertise(access)
            return self._run(access, rest, service)
        if method == "POST" and rest in (_UPLOAD, _RECEIVE):
            if rest == _RECEIVE and not access.may_push:
                raise forbidden(f"{access.actor.name} may read, and not push")
            if not access.ref:
                return self._run(access, rest, rest, http.read_body(_MAX_PUSH))
            with self._turn(access.actor, "asking"):
                return self._fetch(access) if rest == _UPLOAD else self._push(access)
        if rest == "info/refs":
            return _text("git's dumb protocol is not spoken here: use git 1.6.6 or later", 403)
        return _text("there is nothing at this URL", 404)

    def _advertise(self, access: Access) -> HTTPResponse:
        """The one ref that a backend sees, without a process: the tip is one that would survive a power cut.

        HEAD is said to be that ref, so that a plain clone checks it out: the repository's own HEAD is main.
        """
        if not self._capabilities:
            self._capabilities = self._ask_capabilities(access)
        tip = self._repo.writer.refs.durable_tip(access.ref.removeprefix("refs/heads/"))
        sha, ref = (tip or "0" * 40).encode(), access.ref.encode()
        if tip:
            symref = b"symref=HEAD:" + ref
            lines = packet(b"%s HEAD\0%s %s\n" % (sha, self._capabilities, symref)) + packet(b"%s %s\n" % (sha, ref))
        else:
            lines = packet(b"%s capabilities^{}\0%s\n" % (sha, self._capabilities))
        body = packet(b"# service=git-upload-pack\n") + b"0000" + lines + b"0000"
        headers = {"Content-Type": "application/x-git-upload-pack-advertisement", "Cache-Control": "no-cache"}
        return HTTPResponse(body, 200, headers)

    def _fetch(self, access: Access) -> HTTPResponse:
        """What a backend wants must be its branch's tip, or have been: git itself asks that of commits only. What it
        says to have and never could, git is not told: its answer would say what stands elsewhere."""
        fetch = Fetch(_body())
        tip = self._repo.writer.refs.tip(access.ref.removeprefix("refs/heads/"))
        known = commits_in(self._repo.path, tip, fetch.commits) if tip else set()
        for sha in fetch.wants:
            if sha not in known:
                said = packet(f"ERR upload-pack: not our ref {sha}".encode())
                return HTTPResponse(said, 200, {"Content-Type": "application/x-git-upload-pack-result"})
        return self._run(access, _UPLOAD, _UPLOAD, fetch.without(fetch.commits - known))

    def _push(self, access: Access) -> HTTPResponse:
        """A backend's deltas may be of what its own branch has had: git itself takes them from anywhere."""
        body = _body()
        refused = refusal(self._repo, access.ref, body)
        if refused is not None:
            return HTTPResponse(refused, 200, {"Content-Type": "application/x-git-receive-pack-result"})
        return self._run(access, _RECEIVE, _RECEIVE, without_shallow(body))

    def _ask_capabilities(self, access: Access) -> bytes:
        """What this git can do, in its own words, once; but for what it says of HEAD."""
        asked = ["upload-pack", "--stateless-rpc", "--advertise-refs", str(self._repo.path)]
        done = run(asked, self._git_environment(access, _UPLOAD))
        if done.returncode:
            raise unavailable(f"git can't read the state repository: {done.stderr.decode(errors='replace').strip()}")
        words = done.stdout.partition(b"\0")[2].partition(b"\n")[0].split(b" ")
        # `deepen-not` names refs, which would tell of those that are hidden.
        return b" ".join(word for word in words if not word.startswith((b"symref=", b"deepen-not")))

    def _git_environment(self, access: Access, service: str) -> dict[str, str]:
        config = {
            "http.receivepack": str(access.may_push).lower(),
            "http.uploadpack": "true",
            "http.getanyfile": "false",
            "receive.fsckObjects": "true",
            "transfer.unpackLimit": "1",
        }
        config["receive.maxInputSize"] = str(MAX_PUSH if access.ref else _MAX_PUSH)
        config["uploadpack.allowFilter"] = str(not access.ref).lower()
        pairs = list(config.items())
        if access.ref:
            # The last one that matches counts. HEAD is none of refs/, and names main: left in sight, git would hand
            # out all of main to whoever wants its tip by id.
            pairs += [("transfer.hideRefs", hidden) for hidden in ("HEAD", "refs/", f"!{access.ref}")]
        variables = environment(pairs, JOBSERVER_ACTOR=str(access.actor))
        protocol = http.header("Git-Protocol") or ""
        if not access.ref and service == _UPLOAD and protocol.isascii() and protocol.isprintable():
            variables["GIT_PROTOCOL"] = protocol[:100]
        return variables

    def _run(self, access: Access, rest: str, service: str, body: bytes = b"") -> HTTPResponse:
        environ = request.environ
        variables = self._git_environment(access, service) | {
            "GIT_PROJECT_ROOT": str(self._repo.path),
            "GIT_HTTP_EXPORT_ALL": "1",
            "PATH_INFO": f"/{rest}",
            "QUERY_STRING": f"service={service}" if rest == "info/refs" else "",
            "REQUEST_METHOD": request.method,
            "CONTENT_TYPE": environ.get("CONTENT_TYPE", ""),
            "REMOTE_USER": str(access.actor),
            "REMOTE_ADDR": environ.get("REMOTE_ADDR", ""),
        }
        if protocol := variables.pop("GIT_PROTOCOL", ""):
            variables["HTTP_GIT_PROTOCOL"] = protocol
        if not access.ref and (encoding := http.header("Content-Encoding")):  # else it was unpacked
            variables["HTTP_CONTENT_ENCODING"] = encoding
        # No CONTENT_LENGTH: git would wait for that many bytes for ever, busily, also where they can't come any more.
        with ExitStack() as held:
            held.enter_context(self._turn(access.actor, "answered"))
            if not self._slots.acquire(timeout=10):
                raise unavailable("too many git requests at once: try again")
            held.callback(self._slots.release)
            process = start(
                ["http-backend"],
                variables,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                cwd=self._repo.path,
            )
            exchange = Exchange(process, held.pop_all().close)
        return self._answer(exchange, body)

    @contextlib.contextmanager
    def _turn(self, actor: Actor, what: str) -> Iterator[None]:
        """One of the few that each caller has at a time, so that none takes what there is for all."""
        each = _EACH[actor.kind]
        with self._guard:
            turns = self._turns.setdefault((str(actor), what), threading.BoundedSemaphore(each))
        if not turns.acquire(timeout=1):
            raise unavailable(f"{actor.name} has {each} git requests under way: try again")
        try:
            yield
        finally:
            turns.release()

    def _answer(self, exchange: Exchange, body: bytes) -> HTTPResponse:
        try:
            exchange.feed(body)
            status, headers = exchange.head()
        except BaseException:
            exchange.close()
            raise
        return HTTPResponse(exchange, status, headers)


def _body() -> bytes:
    """The request's body, unpacked."""
    return plain(http.read_body(), http.header("Content-Encoding") or "")


def _password() -> str:
    """The token of `Authorization`: as a password (Basic), or as the API takes it."""
    given = http.header("Authorization")
    if not given:
        raise unauthenticated("a token is needed, as the password of any user name")
    scheme, _, rest = given.strip().partition(" ")
    if scheme.lower() != "basic":
        return rest.strip() if scheme.lower() == "bearer" else given.strip()
    try:
        return base64.b64decode(rest.strip(), validate=True).decode().partition(":")[2]
    except (binascii.Error, UnicodeDecodeError):
        raise unauthenticated("the Authorization header can't be read") from None


def _refused(error: Error, status: int) -> HTTPResponse:
    if error.code is Code.UNAUTHENTICATED:  # git asks for a password on 401
        return _text(message_of(error), 401, _REALM)
    return _text(message_of(error), status, retry_after(error, status))


def _text(message: str, status: int, headers: dict[str, str] | None = None) -> HTTPResponse:
    """git shows plain text to its user."""
    return HTTPResponse(
        f"{message}\n".encode(), status, {"Content-Type": "text/plain; charset=utf-8", **(headers or {})}
    )
