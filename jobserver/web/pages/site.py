"""What every page goes through: who looks, whether the form is genuine, what went wrong in words."""

import hashlib
import secrets
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from time import perf_counter
from typing import Any
from urllib.parse import quote, urlsplit

from bottle import BaseRequest, Bottle, HTTPResponse, request

from jobserver.domain.base.permissions import Actor, ActorKind, Permission, Role
from jobserver.domain.base.rights import permissions_of
from jobserver.domain.members import Invitation, invitation_of
from jobserver.domain.pipeline.reader import MAX_ACTIONS
from jobserver.domain.projects import Project
from jobserver.domain.users import User
from jobserver.errors import Code, Error, Fault, forbidden, invalid
from jobserver.index.directory import Directory
from jobserver.service.writes.idempotency import Key
from jobserver.web import http
from jobserver.web.errors import guarded, handler_of, message_of, retry_after, status_of
from jobserver.web.metrics import Metrics
from jobserver.web.pages.format import page_version
from jobserver.web.pages.render import Renderer
from jobserver.web.pages.sessions import Session
from jobserver.web.pages.views.backend_status import standings
from jobserver.web.server.mount import placed
from jobserver.web.server.stream import UNSIZED
from jobserver.web.services import Services

_MAX_FORM = 2 * 1024 * 1024  # with the names of thousands of actions
BaseRequest.MEMFILE_MAX = _MAX_FORM  # bottle refuses forms that are larger, and by itself at 100 KiB
_OF_URLS = "/:?#[]@!$&'()*+,;=%~"


@dataclass(frozen=True, slots=True)
class Look:
    """One request for a page. ``user`` is None where nobody is logged in."""

    directory: Directory
    user: User | None
    session: Session | None
    now: datetime
    version: str = ""

    @property
    def actor(self) -> Actor:
        """Raises `Error` (unauthenticated) where nobody is logged in."""
        if self.user is None:
            raise Error(Code.UNAUTHENTICATED, "log in first")
        return Actor(ActorKind.USER, self.user.username)

    def may(self, permission: Permission, project: str | None = None) -> bool:
        return self.user is not None and permission in permissions_of(self.directory, self.user, project)

    @property
    def invitations(self) -> list[tuple[str, Project, Invitation]]:
        """(``org/slug``, project, invitation) of each project that this person is invited to."""
        if self.user is None:
            return []
        found = ((name, one, invitation_of(one, self.user.username)) for name, one in self.directory.projects.items())
        return [(name, project, invitation) for name, project, invitation in found if invitation is not None]

    @property
    def makes_workspaces(self) -> bool:
        """In some project, or in none."""
        return any(self.may(Permission.RUN_JOB, one) for one in (None, *self.directory.projects))

    @property
    def is_admin(self) -> bool:
        return self.may(Permission.ADMINISTER)


Handler = Callable[..., HTTPResponse]
"""Takes the `Look` and the URL's parts by name."""


class Site:
    """Adds pages to a bottle application."""

    def __init__(self, app: Bottle, services: Services, render: Renderer, metrics: Metrics) -> None:
        self.services, self.render, self._app, self._metrics = services, render, app, metrics

    def add(
        self,
        path: str,
        get: Handler | None = None,
        post: Handler | None = None,
        is_open: bool = False,
        filters: Collection[str] | None = None,
    ) -> None:
        """``is_open``: for who is not logged in. ``filters``: the query parameters that a page which lists takes."""
        handlers = {"GET": get, "POST": post}

        def call(**parts: str) -> HTTPResponse:
            started = perf_counter()
            reply = self._answer(handlers, is_open, filters, parts)
            self._metrics.observe(path, request.method, reply.status_code, perf_counter() - started)
            return reply

        # "ANY", as all other routes: bottle would prefer a pattern for GET to an exact path for any method.
        self._app.route(path, "ANY", call)
        if path.endswith("/") and path != "/":
            self._app.route(path.removesuffix("/"), "ANY", http.slash)

    def look(self) -> Look:
        services = self.services
        # Before anything is read: a page may find itself older than it is, never younger.
        version = page_version.of_tips(services.index.tips())
        directory = services.index.directory()
        session = services.sessions.current()
        user = directory.user(session.username) if session else None
        if user is None:
            session = None
        else:
            request.environ[http.CALLER] = str(Actor(ActorKind.USER, user.username))
        return Look(directory, user, session, services.clock(), version)

    def _answer(
        self,
        handlers: Mapping[str, Handler | None],
        is_open: bool,
        filters: Collection[str] | None,
        parts: Mapping[str, str],
    ) -> HTTPResponse:
        look: Look | None = None

        def handle() -> HTTPResponse:
            nonlocal look
            look = self.look()
            handler = handler_of(handlers)
            is_post = request.method == "POST"
            if look.user is None and not is_open and (is_post or not self.services.options.public_read):
                return to_login()
            if is_post:
                self._check_form(look)
            elif filters is not None:
                http.check_filters(filters)
            return handler(look, **parts)

        def refused(error: Error, status: int) -> HTTPResponse:
            if error.code is Code.UNAUTHENTICATED:  # PUBLIC_READ shows a lot, but not what is somebody's own
                return to_login()
            return self.error(look, error, status)

        return guarded(handle, refused)

    def _check_form(self, look: Look) -> None:
        origin = http.header("Origin")
        here = http.origins(self.services.options.base_url)
        if http.header("Sec-Fetch-Site") not in (None, "same-origin", "none") or (origin and origin not in here):
            raise forbidden("this form was sent from another site")
        body = http.read_body(_MAX_FORM)
        if request.environ.get(UNSIZED):  # of which half looks like the whole
            raise invalid("a form has to say how long it is, by Content-Length, as browsers do")
        http.give(body)
        try:
            request.forms.decode()
        except UnicodeError:
            raise invalid("this form is no UTF-8 text") from None
        except (ValueError, LookupError):  # a Content-Type that is none
            raise invalid("this form can't be read: what does its Content-Type say?") from None
        if not self.services.sessions.is_genuine(look.session, str(request.forms.get("form", ""))):
            raise forbidden("this form is too old, or not from here: go back, reload the page, and send it again")

    # Answers

    def nowhere(self, status: int) -> HTTPResponse:
        """For people at a URL that nobody has."""
        try:
            look: Look | None = self.look()
        except Error:
            look = None
        return self.error(look, Error(Code.NOT_FOUND, "there is no page at this address"), status)

    def page(self, look: Look, template: str, status: int = 200, **values: Any) -> HTTPResponse:
        return self.render.page(template, {**self._common(look), **values}, status)

    def _common(self, look: Look) -> dict[str, Any]:
        services = self.services
        return {
            "look": look,
            "now": look.now,
            "path": request.path,
            "form": services.sessions.form_token(look.session),
            "standings": standings(look.directory, services.visible.slugs(), services.live.contacts(), look.now),
            "once": secrets.token_hex(12),
            "title": "",
            "hosted": services.hosted,
            "sends_email": services.options.sends_email,
            "is_public": services.options.public_read,
            "version": look.version,
            "notices": self._notices(look) if look.is_admin else {},
        }

    def _notices(self, look: Look) -> dict[str, str]:
        try:
            return {name: said for name, said in self.services.private.notices().items() if look.directory.user(name)}
        except Error:  # the page that says so is a page too
            return {}

    def error(self, look: Look | None, error: Error, status: int = 0) -> HTTPResponse:
        status = status or status_of(error)
        faults: Sequence[Fault] = error.faults if len(error.faults) > 1 else ()
        empty = look or Look(Directory(), None, None, self.services.clock())
        reply = self.page(empty, "error.html", status, message=message_of(error), faults=faults, code=status)
        reply.headers.update(retry_after(error, status))
        return reply


def redirect(where: str, status: int = 303) -> HTTPResponse:
    """``where``: a path of ours, or another URL; what is no character of one is encoded."""
    return HTTPResponse(b"", status, {"Location": placed(quote(where, safe=_OF_URLS)), "Cache-Control": "no-store"})


def to_login() -> HTTPResponse:
    """And back to where one is."""
    query = f"?{request.query_string}" if request.query_string and request.method == "GET" else ""
    return redirect(f"/login/?next={quote(quote(request.path, safe='/') + query, safe='/')}")


def local(where: str) -> str:
    """A path of ours, or the front page: nobody is sent to another site by a link to us."""
    parts = urlsplit(where)
    fine = where.startswith("/") and not where.startswith("//") and "\\" not in where and where.isprintable()
    return where if fine and not parts.scheme and not parts.netloc else "/"


def text(name: str, most: int = 1000) -> str:
    """A field of the form or the query; of the query it is cut to size. Raises `Error` (invalid)."""
    is_form = request.method == "POST"
    value = str((request.forms if is_form else request.query).getunicode(name) or "").strip()
    if is_form and len(value) > most:
        raise invalid(f"{len(value)} characters, at most {most} are allowed", name)
    return value[:most]


def once(actor: Actor) -> Key | None:
    """So that sending one form twice (a double click, a lost answer) does it once; other choices are another form."""
    shown = text("once", 64)
    fields = sorted(f"{key}={value}" for key, value in request.forms.decode().allitems() if key not in ("form", "once"))
    chosen = "\n".join(fields).encode(errors="replace")
    digest = hashlib.sha256(chosen).hexdigest()
    return Key.of(actor, "POST", request.path, f"{shown} {digest}", chosen) if shown else None


def roles() -> tuple[Role, ...]:
    """The form's roles. Raises `Error` (invalid)."""
    given = texts("roles")
    if wrong := set(given) - set(Role):
        raise invalid(f"{min(wrong)!r} is no role: expected some of {', '.join(Role)}", "roles")
    return tuple(map(Role, given))


def texts(name: str) -> list[str]:
    """All fields of that name. What is no UTF-8 in a query stands for nothing that there is."""
    if request.method == "POST":
        return [value for value in request.forms.decode().getall(name)[:MAX_ACTIONS] if value]
    values = request.query.getall(name)[:MAX_ACTIONS]
    return [value.encode("latin-1").decode(errors="replace") for value in values if value]  # WSGI's strings
