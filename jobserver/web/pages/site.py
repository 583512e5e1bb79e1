"""Adds pages to the application: finds out who requests one, checks forms, and shows errors as pages."""

import secrets
import sqlite3
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from time import perf_counter
from typing import Any
from urllib.parse import quote, unquote, urlencode

import orjson
from bottle import Bottle, HTTPResponse, request

from jobserver.domain.base.permissions import Actor, ActorKind
from jobserver.domain.waiting.backend_status import BackendStatus, backend_status, backend_statuses
from jobserver.domain.waiting.waiting import Waiting
from jobserver.errors import Code, Error, Fault, forbidden, invalid, not_found
from jobserver.index.directory import Directory
from jobserver.index.queries.requests import JobRequestRow
from jobserver.service.forecasts import waiting_rows
from jobserver.web import http
from jobserver.web.errors import guarded, handler_of, message_of, retry_after, status_of
from jobserver.web.metrics import Metrics
from jobserver.web.pages import banners, kept_forms
from jobserver.web.pages.context import PageContext
from jobserver.web.pages.format import page_version
from jobserver.web.pages.forms import is_own_form, read_form
from jobserver.web.pages.redirects import form_page, redirect, to_login
from jobserver.web.pages.render import Renderer
from jobserver.web.pages.sent_form import kept_form, sent_form, sentence
from jobserver.web.services import Services

Handler = Callable[..., HTTPResponse]
"""Takes the `PageContext` and the URL's parts by name."""
_SAVED = "saved"  # the signed cookie with the message that the next page shows
_TITLES = {
    403: "You do not have permission",
    404: "Page not found",
    405: "This address has no page",
    413: "The form is too large",
    429: "Too many attempts",
    500: "The server has a fault",
    503: "The server cannot do this now",
}


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
        has_history: bool = False,
    ) -> None:
        """``is_open``: nobody has to log in. ``filters``: the query parameters that a page with a list takes.
        ``has_history``: it can be shown as of a commit or a time, its parameter ``at``."""
        handlers = {"GET": get, "POST": post}

        def call(**parts: str) -> HTTPResponse:
            started = perf_counter()
            reply = self._answer(handlers, is_open, filters, has_history, parts)
            self._metrics.observe(path, request.method, reply.status_code, perf_counter() - started)
            return reply

        # "ANY", as all other routes: bottle would prefer a pattern for GET to an exact path for any method.
        self._app.route(path, "ANY", call)
        if path.endswith("/") and path != "/":
            self._app.route(path.removesuffix("/"), "ANY", http.slash)

    def context(self) -> PageContext:
        services = self.services
        # The version is read first: a page may then count as older than it is, never as newer.
        version = page_version.of_tips(services.index.tips())
        session = services.sessions.current()
        user = services.index.directory().user(session.username) if session else None
        actor = Actor(ActorKind.USER, user.username) if user is not None else None
        if actor is None:
            session = None
        else:
            http.know_caller(actor)
        services.readers.begin(actor)
        return PageContext(services.index.directory(), user, session, services.clock(), version)

    def _answer(
        self,
        handlers: Mapping[str, Handler | None],
        is_open: bool,
        filters: Collection[str] | None,
        has_history: bool,
        parts: Mapping[str, str],
    ) -> HTTPResponse:
        context: PageContext | None = None
        is_read = False
        options = self.services.options

        def handle() -> HTTPResponse:
            nonlocal context, is_read
            context = self.context()
            handler = handler_of(handlers)
            is_post = request.method == "POST"
            if is_post:
                read_form(options.base_url)
                if not is_own_form(self.services.sessions, context.session) or (context.user is None and not is_open):
                    return self._keep_form(context, handlers["GET"] is not None, is_open)
                is_read = True
            elif context.user is None and not is_open and not options.public_read:
                return to_login()
            elif kept := self._kept_form(context):
                context = kept
            elif filters is not None:
                http.check_filters(filters)
            elif "at" in request.query and not has_history:
                raise invalid("this page has no earlier versions", "at")
            return handler(context, **parts)

        def refused(error: Error, status: int) -> HTTPResponse:
            if error.code is Code.UNAUTHENTICATED:  # with PUBLIC_READ, a page that only makes sense for a person
                return to_login()
            show = handlers["GET"]
            if is_read and show is not None and status != 500:
                return self._form_again(show, error, status, parts)
            return self.error(context, error, status)

        return guarded(handle, refused)

    def _form_again(self, show: Handler, error: Error, status: int, parts: Mapping[str, str]) -> HTTPResponse:
        """The page of the form that was refused, with what was typed and what is wrong; else a page with the error."""
        context = self.context()

        def again() -> HTTPResponse:
            names = {*context.directory.users, *context.directory.backends, *context.directory.workspaces}
            sent = sent_form(error, request.forms.decode().allitems(), names)
            reply = show(replace(context, sent=sent), **parts)
            reply.status = status
            reply.headers.update(retry_after(error, status))
            return reply

        return guarded(again, lambda *_: self.error(context, error, status))

    # Forms of sessions that have ended

    def _keep_form(self, context: PageContext, has_page: bool, is_open: bool) -> HTTPResponse:
        """Leads to the form's page, through the login if needed, which shows what was typed: nothing was done with it.

        Raises `Error` (forbidden) for a form that this server did not make for this person."""
        services, typed = self.services, request.forms.decode().allitems()
        person = services.sessions.form_person(str(request.forms.get("form", "")))
        if not person and context.user is None and not is_open:
            return to_login("" if has_page else "/")
        if not person or (context.user is not None and context.user.username != person):
            raise forbidden("this form is not one of yours: go back, reload the page and send the form again")
        page = form_page(has_page, http.origins(services.options.base_url))
        identifier = services.kept_forms.keep(person, page, typed)
        target = f"{quote(page)}?{kept_forms.PARAMETER}={identifier}" if identifier else quote(page)
        return to_login(target) if context.user is None else redirect(unquote(target))

    def _kept_form(self, context: PageContext) -> PageContext | None:
        """With what was typed, if the page's address names a form of this person that was kept."""
        identifier = request.query.get(kept_forms.PARAMETER)
        if not identifier or context.user is None:
            return None
        fields = self.services.kept_forms.find(identifier, context.user.username, request.path)
        request["QUERY_STRING"] = urlencode(fields)
        return replace(context, sent=kept_form(fields))

    # Answers

    def page(self, context: PageContext, template: str, status: int = 200, **values: Any) -> HTTPResponse:
        """``values``: for the template, with ``title`` (the page, then the thing), and with ``about`` on a page that is
        about some backends."""
        sessions, saved, common = self.services.sessions, self._saved(), self._common(context)
        late = banners.late_backends(sessions, common["backend_statuses"], values.pop("about", ()))
        reply = self.render.page(template, {**common, "saved": saved, "late_backends": late, **values}, status)
        if saved:
            sessions.forget(reply, _SAVED)
        return reply

    def _saved(self) -> str:
        """What was saved, if this is the page that says so."""
        try:
            path, message = orjson.loads(self.services.sessions.recall(_SAVED) or "[]") or ("", "")
        except ValueError:  # a note of another kind
            return ""
        return str(message) if path == request.path and request.method == "GET" else ""

    def saved(self, path: str, message: str = "Saved.") -> HTTPResponse:
        """To the page ``path``, which shows the message once."""
        reply = redirect(path)
        self.services.sessions.remember(reply, _SAVED, orjson.dumps([path.partition("?")[0], message]).decode())
        return reply

    def backend_status(self, context: PageContext, slug: str) -> BackendStatus | None:
        """None for a backend whose document is gone."""
        backend = context.directory.backends.get(slug)
        contact = self.services.live.contacts().get(slug)
        return backend_status(backend, contact, context.now) if backend is not None else None

    def waiting(
        self, context: PageContext, sql: sqlite3.Connection, rows: Sequence[JobRequestRow]
    ) -> Mapping[str, Waiting]:
        """Job request -> why it waits, of those in a list."""
        return waiting_rows(sql, rows, self._backend_statuses(context), context.now)

    def _backend_statuses(self, context: PageContext) -> dict[str, BackendStatus]:
        services = self.services
        contacts = services.live.contacts()
        return backend_statuses(context.directory.backends, services.visible.slugs(), contacts, context.now)

    def _common(self, context: PageContext) -> dict[str, Any]:
        services = self.services
        return {
            "context": context,
            "sent": context.sent,
            "now": context.now,
            "path": request.path,
            "form": services.sessions.form_token(context.session),
            "backend_statuses": self._backend_statuses(context),
            "once": secrets.token_hex(12),
            "title": "",
            "outcome": "",
            "hosted": services.hosted,
            "sends_email": services.options.sends_email,
            "is_public": services.options.public_read,
            "version": context.version,
            "oidc_name": services.oidc.name if services.oidc is not None else "",
            "notices": self._notices(context) if context.is_admin else {},
        }

    def _notices(self, context: PageContext) -> dict[str, str]:
        """User name -> a message for SuperUsers about that account."""
        try:
            notices = self.services.private.notices()
        except Error:  # the page that shows this error needs them, too
            return {}
        return {name: message for name, message in notices.items() if context.directory.user(name)}

    def not_found(self, status: int) -> HTTPResponse:
        """The page for an address that does not exist."""
        try:
            context: PageContext | None = self.context()
        except Error:
            context = None
        return self.error(context, not_found("this page does not exist"), status)

    def error(self, context: PageContext | None, error: Error, status: int = 0) -> HTTPResponse:
        status = status or status_of(error)
        faults: Sequence[Fault] = error.faults if len(error.faults) > 1 else ()
        context = context or PageContext(Directory(), None, None, self.services.clock())
        title, message = _TITLES.get(status, "There is a problem"), sentence(message_of(error))
        reply = self.page(context, "error.html", status, title=title, message=message, faults=faults, code=status)
        reply.headers.update(retry_after(error, status))
        return reply
