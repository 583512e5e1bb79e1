"""The pages of backends, for everybody (`/status/`) and for SuperUsers (`/backends/`)."""

from bottle import HTTPResponse

from jobserver.domain.backends import (
    ActivateBackend,
    AddBackend,
    Backend,
    ConnectController,
    DeactivateBackend,
    DisconnectController,
    PauseBackend,
    ResumeBackend,
    RevokeBackendToken,
    RotateBackendToken,
)
from jobserver.domain.base import layout
from jobserver.domain.base.layout import Kind
from jobserver.domain.plan import Command
from jobserver.domain.waiting.backend_status import backend_status
from jobserver.errors import forbidden, invalid, not_found
from jobserver.index.queries.requests import queue
from jobserver.service.accounts.tokens import new_token
from jobserver.web import http
from jobserver.web.pages import banners
from jobserver.web.pages.context import PageContext
from jobserver.web.pages.forms import text, unknown_button
from jobserver.web.pages.redirects import form_page, redirect
from jobserver.web.pages.site import Site
from jobserver.web.pages.views import audit_tab

_DONE = {
    "revoke": "Revoked the old tokens.",
    "deactivate": "Deactivated the backend.",
    "activate": "Activated the backend.",
    "pause": "Paused the backend.",
    "resume": "The backend takes new requests again.",
    "connect": "The server calls the controller from now on.",
    "disconnect": "The server no longer calls the controller.",
}


class Backends:
    def __init__(self, site: Site) -> None:
        self._site, self._services = site, site.services
        site.add("/status/", self.status, filters=())
        site.add("/status/<slug>/", self.monitor, self.dismiss, is_open=True)
        site.add("/backends/", self.index, self.add, filters=())
        site.add("/backends/<slug>/", self.show, self.change)
        site.add("/backends/<slug>/audit/", self.audit)

    def status(self, context: PageContext) -> HTTPResponse:
        slugs = self._services.visible.slugs()
        with self._services.index.view() as sql:
            queues = {slug: queue(sql, slug) for slug in slugs}
        hours = {slug: self._services.live.hours_by_day(slug) for slug in slugs}
        return self._site.page(context, "backends/status.html", title="Status", slugs=slugs, queues=queues, hours=hours)

    def monitor(self, context: PageContext, slug: str) -> HTTPResponse:
        """For monitoring tools: 200 while the backend is online, 503 if it is late, never connected or deactivated."""
        backend = context.directory.backends.get(slug) if slug in self._services.visible.slugs() else None
        if backend is None:
            raise not_found(f"backend {slug!r} does not exist")
        status = backend_status(backend, self._services.live.contacts().get(slug), context.now)
        if not backend.active:
            message = "deactivated"
        elif status.last_seen is None:
            message = "never connected"
        elif status.is_late:
            message = f"not seen since {status.last_seen:%Y-%m-%d %H:%M:%S} UTC"
        else:
            message = "online"
        headers = {"Content-Type": "text/plain; charset=utf-8", "Cache-Control": "no-store"}
        return HTTPResponse(f"{slug}: {message}\n".encode(), 200 if status.is_fine else 503, headers)

    def dismiss(self, context: PageContext, slug: str) -> HTTPResponse:
        """Hides the banner about the backend from this person, until its runner connects again."""
        status = self._site.backend_status(context, slug)
        if status is None:
            raise not_found(f"backend {slug!r} does not exist")
        reply = redirect(form_page(False, http.origins(self._services.options.base_url)))
        banners.dismiss(self._services.sessions, reply, slug, status)
        return reply

    def index(self, context: PageContext) -> HTTPResponse:
        context.check_admin()
        new_secret, slug = self._services.new_secrets.take(context.session)  # of the backend that was added just now
        reply = self._site.page(context, "backends/backends.html", title="Backends", new_secret=new_secret, slug=slug)
        return self._services.new_secrets.forget(reply) if new_secret else reply

    def add(self, context: PageContext) -> HTTPResponse:
        secret, digest = new_token()
        slug = text("slug", 64)
        databases = tuple(part.strip() for part in text("databases", 500).split(",") if part.strip())
        command = AddBackend(slug, digest, text("name", 200), databases, text("parent_directory", 500))
        self._services.gate.submit(context.actor, command, "web")
        return self._services.new_secrets.lead_to("/backends/", context.session, secret, slug)

    def show(self, context: PageContext, slug: str) -> HTTPResponse:
        context.check_admin()
        backend = _find(context, slug)
        new_secret, _ = self._services.new_secrets.take(context.session)
        reply = self._site.page(
            context, "backends/backend.html", title=f"Settings · {backend.name}", backend=backend, new_secret=new_secret
        )
        return self._services.new_secrets.forget(reply) if new_secret else reply

    def change(self, context: PageContext, slug: str) -> HTTPResponse:
        operation = text("what")
        if operation == "rotate":
            secret, digest = new_token()
            self._services.gate.submit(context.actor, RotateBackendToken(slug, digest, bool(text("keep_old"))), "web")
            return self._services.new_secrets.lead_to(f"/backends/{slug}/", context.session, secret)
        commands: dict[str, Command] = {
            "revoke": RevokeBackendToken(slug),
            "deactivate": DeactivateBackend(slug),
            "activate": ActivateBackend(slug),
            "pause": PauseBackend(slug),
            "resume": ResumeBackend(slug),
            "disconnect": DisconnectController(slug),
        }
        if operation == "connect":
            databases = _pairs(text("rap_databases", 500))
            commands["connect"] = ConnectController(slug, text("url", 500), databases, text("repositories", 500))
        if operation not in commands:
            raise unknown_button()
        self._services.gate.submit(context.actor, commands[operation], "web")
        return self._site.saved(f"/backends/{slug}/", _DONE[operation])

    def audit(self, context: PageContext, slug: str) -> HTTPResponse:
        """The changes of the backend's document and of its branch."""
        backend = _find(context, slug)
        if not self._services.readers.reads_everything(context.user):
            raise forbidden("only people who may view everything can view this page: it names every project")
        document = layout.main_path(Kind.BACKEND, slug)
        paths = {layout.MAIN: [document], layout.backend_branch(slug): ["active", "archive"]}
        audit = audit_tab.audit_page(self._services.repo, paths, text("before", 100))
        title = f"Audit · {backend.name}"
        return self._site.page(context, "backends/audit.html", title=title, backend=backend, audit=audit)


def _pairs(written: str) -> dict[str, str]:
    """Raises `Error` (invalid)."""
    pairs = [part.strip().partition("=") for part in written.split(",") if part.strip()]
    if not pairs or not all(name.strip() and there.strip() for name, _, there in pairs):
        raise invalid("expected databases and their names at the controller: full=default", field="rap_databases")
    return {name.strip(): there.strip() for name, _, there in pairs}


def _find(context: PageContext, slug: str) -> Backend:
    backend = context.directory.backends.get(slug)
    if backend is None:
        raise not_found(f"backend {slug!r} does not exist")
    return backend
