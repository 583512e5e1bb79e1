"""Git over HTTP at /state.git: `git http-backend` behind our authentication.

git hides from a caller the refs that the caller may not see (`transfer.hideRefs`), but still serves and completes
objects by ID. So the server reads a backend's requests before git does: in protocol v0, because v2 serves any object by
its ID (docs/decisions/0009). The server lists refs to backends itself, because runners ask for that list all day.
Backends may leave the archive out of what they fetch, and nothing else (docs/decisions/0029).
Formats: gitprotocol-http(5), gitprotocol-pack(5).
"""

from time import perf_counter

from bottle import HTTPResponse, request

from jobserver.domain.base import layout
from jobserver.domain.tokens import Scope
from jobserver.errors import Code, Error, forbidden, unavailable
from jobserver.store.git.command import run
from jobserver.store.git.revisions import commits_in
from jobserver.web import http
from jobserver.web.authentication import Callers
from jobserver.web.errors import guarded, message_of, retry_after
from jobserver.web.git.access import Access, access_of
from jobserver.web.git.cgi import Exchange
from jobserver.web.git.fetch_request import Fetch
from jobserver.web.git.http_backend import MAX_PUSH, RECEIVE_PACK, UPLOAD_PACK, HttpBackend, git_environment
from jobserver.web.git.pkt_line import FLUSH, decoded, packet
from jobserver.web.git.push_guard import refusal, without_shallow
from jobserver.web.metrics import Metrics
from jobserver.web.services import Services

_PATHS = ("info/refs", UPLOAD_PACK, RECEIVE_PACK)
_REALM = {"WWW-Authenticate": 'Basic realm="jobserver: any username, a token as the password", charset="UTF-8"'}


class StateGit:
    """The URLs below /state.git."""

    def __init__(self, services: Services, callers: Callers, metrics: Metrics) -> None:
        self._repo, self._index, self._callers, self._metrics = services.repo, services.index, callers, metrics
        self._git = HttpBackend(services.repo.path)
        self._capabilities = b""

    def call(self, rest: str) -> HTTPResponse:
        def handle() -> HTTPResponse:
            service = request.query.get("service", "") if rest == "info/refs" else rest
            needed = Scope.ADMIN if service == RECEIVE_PACK else Scope.READ
            return self._serve(access_of(self._callers, self._index, needed), rest, service)

        started = perf_counter()
        method = request.method
        reply = guarded(handle, _refused)

        def observe() -> None:
            path = rest if rest in _PATHS else "other"
            self._metrics.observe(f"/state.git/{path}", method, reply.status_code, perf_counter() - started)

        if isinstance(reply.body, Exchange):
            reply.body.on_close(observe)  # the answer goes out while git writes it
        else:
            observe()
        return reply

    def _serve(self, access: Access, rest: str, service: str) -> HTTPResponse:
        if service == RECEIVE_PACK and not access.may_push:
            raise forbidden(f"{access.actor.name} can fetch, but not push")
        is_service = service in (UPLOAD_PACK, RECEIVE_PACK)
        if request.method == "GET" and rest == "info/refs" and is_service:
            if service == UPLOAD_PACK and access.ref:
                return self._list_refs(access)
            return self._git.respond(access, rest, service)
        if request.method == "POST" and is_service and rest == service:
            if not access.ref:
                return self._git.respond(access, rest, service, http.read_body(MAX_PUSH))
            with self._git.turn(access.actor, "check"):
                return self._fetch(access) if service == UPLOAD_PACK else self._push(access)
        if rest == "info/refs":
            return _text("git's dumb protocol is not supported: use git 1.6.6 or later", 403)
        return _text("not found", 404)

    def _list_refs(self, access: Access) -> HTTPResponse:
        """A backend's branch, without a process. The tip is on the disk: it survives a power cut.

        HEAD is that branch too, so that a plain clone checks it out; the repository's own HEAD is main.
        """
        if not self._capabilities:
            self._capabilities = self._git_capabilities(access)
        tip = self._repo.writer.refs.durable_tip(access.ref.removeprefix("refs/heads/"))
        sha, ref = (tip or "0" * 40).encode(), access.ref.encode()
        if tip:
            symref = b"symref=HEAD:" + ref
            refs = packet(b"%s HEAD\0%s %s\n" % (sha, self._capabilities, symref)) + packet(b"%s %s\n" % (sha, ref))
        else:
            refs = packet(b"%s capabilities^{}\0%s\n" % (sha, self._capabilities))
        body = packet(b"# service=git-upload-pack\n") + FLUSH + refs + FLUSH
        headers = {"Content-Type": "application/x-git-upload-pack-advertisement", "Cache-Control": "no-cache"}
        return HTTPResponse(body, 200, headers)

    def _git_capabilities(self, access: Access) -> bytes:
        """The capabilities that the installed git reports, without those that name refs."""
        arguments = ["upload-pack", "--stateless-rpc", "--advertise-refs", str(self._repo.path)]
        done = run(arguments, git_environment(access, UPLOAD_PACK))
        if done.returncode:
            raise unavailable(f"git can't read the state repository: {done.stderr.decode(errors='replace').strip()}")
        words = done.stdout.partition(b"\0")[2].partition(b"\n")[0].split(b" ")
        # `deepen-not` takes the names of refs, and so would reveal hidden ones.
        return b" ".join([*(word for word in words if not word.startswith((b"symref=", b"deepen-not"))), b"filter"])

    def _fetch(self, access: Access) -> HTTPResponse:
        """A backend may want only commits of its own branch; git would serve any folder or file by its ID.

        Of the commits that the backend says it has, git sees only these: the answer would reveal which others exist.
        """
        fetch = Fetch(_decoded_body())
        if fetch.is_bare and (other := fetch.filters - {layout.ACTIVE_ONLY}):  # the archive, for one missing object?
            return _no_pack(f"a backend's only filter is {layout.ACTIVE_ONLY}, and not {min(other)}")
        tip = self._repo.writer.refs.tip(access.ref.removeprefix("refs/heads/"))
        own = commits_in(self._repo.path, tip, fetch.commits) if tip else set()
        for sha in fetch.wants:
            if sha not in own:
                return _no_pack(f"not our ref {sha}")
        request = fetch.without(fetch.commits - own)
        is_active_only = fetch.filters == {layout.ACTIVE_ONLY}  # a server may send more than what a filter asks for
        return self._git.respond(access, UPLOAD_PACK, UPLOAD_PACK, request, is_active_only=is_active_only)

    def _push(self, access: Access) -> HTTPResponse:
        body = _decoded_body()
        refused = refusal(self._repo, access.ref, body)
        if refused is not None:
            return HTTPResponse(refused, 200, {"Content-Type": "application/x-git-receive-pack-result"})
        return self._git.respond(access, RECEIVE_PACK, RECEIVE_PACK, without_shallow(body))


def _decoded_body() -> bytes:
    return decoded(http.read_body(), http.header("Content-Encoding") or "")


def _no_pack(reason: str) -> HTTPResponse:
    """The refusal of a fetch, as git itself refuses one."""
    answer = packet(f"ERR upload-pack: {reason}".encode())
    return HTTPResponse(answer, 200, {"Content-Type": "application/x-git-upload-pack-result"})


def _refused(error: Error, status: int) -> HTTPResponse:
    if error.code is Code.UNAUTHENTICATED:  # on 401, git asks its user for a password
        return _text(message_of(error), 401, _REALM)
    return _text(message_of(error), status, retry_after(error, status))


def _text(message: str, status: int, headers: dict[str, str] | None = None) -> HTTPResponse:
    """Plain text, which git shows to its user."""
    return HTTPResponse(
        f"{message}\n".encode(), status, {"Content-Type": "text/plain; charset=utf-8", **(headers or {})}
    )
