"""The pages of backends, for everybody (`/status/`) and for SuperUsers (`/backends/`)."""

from datetime import timedelta

from bottle import HTTPResponse

from jobserver.domain.backends import (
    ActivateBackend,
    AddBackend,
    DeactivateBackend,
    RevokeBackendToken,
    RotateBackendToken,
)
from jobserver.domain.base import layout
from jobserver.domain.base.layout import Kind
from jobserver.domain.plan import Command
from jobserver.errors import invalid, not_found
from jobserver.index.queries.requests import queue
from jobserver.service.accounts.tokens import new_token
from jobserver.web.pages.context import PageContext
from jobserver.web.pages.forms import text
from jobserver.web.pages.redirects import redirect
from jobserver.web.pages.site import Site
from jobserver.web.pages.views import audit_tab
from jobserver.web.pages.views.backend_status import standing


class Backends:
    def __init__(self, site: Site) -> None:
        self._site, self._services = site, site.services
        site.add("/status/", self.status, filters=())
        site.add("/status/<slug>/", self.monitor, is_open=True)
        site.add("/backends/", self.listed, self.add, filters=())
        site.add("/backends/<slug>/", self.show, self.change)
        site.add("/backends/<slug>/audit/", self.audit)

    def status(self, context: PageContext) -> HTTPResponse:
        slugs = self._services.visible.slugs()
        with self._services.index.view() as sql:
            queues = {slug: queue(sql, slug) for slug in slugs}
        strips = {slug: self._services.live.hours_by_day(slug) for slug in slugs}
        return self._site.page(context, "status.html", title="Status", slugs=slugs, queues=queues, strips=strips)

    def monitor(self, context: PageContext, slug: str) -> HTTPResponse:
        """For machines: 200 while the backend was seen in time, 503 otherwise, also where it is switched off."""
        backend = context.directory.backends.get(slug) if slug in self._services.visible.slugs() else None
        if backend is None:
            raise not_found(f"there is no backend {slug!r}")
        stands = standing(backend, self._services.live.contacts().get(slug), context.now)
        if not backend.active:
            said = "switched off"
        elif stands.last_seen is None:
            said = "never seen"
        else:
            at = f"{stands.last_seen:%Y-%m-%d %H:%M:%S} UTC"
            said = f"not seen since {at}" if stands.is_late else "seen in time"
        headers = {"Content-Type": "text/plain; charset=utf-8", "Cache-Control": "no-store"}
        return HTTPResponse(f"{slug}: {said}\n".encode(), 200 if stands.is_fine else 503, headers)

    def listed(self, context: PageContext, shown: str = "", slug: str = "") -> HTTPResponse:
        context.check_admin()
        return self._site.page(context, "backends.html", title="Backends", shown=shown, slug=slug)

    def add(self, context: PageContext) -> HTTPResponse:
        secret, digest = new_token()
        slug = text("slug", 64)
        databases = tuple(part.strip() for part in text("databases", 500).split(",") if part.strip())
        self._services.gate.submit(
            context.actor,
            AddBackend(slug, digest, text("name", 200), databases, text("parent_directory", 500)),
            "web",
        )
        return self.listed(self._site.context(), secret, slug)

    def show(self, context: PageContext, slug: str, shown: str = "") -> HTTPResponse:
        context.check_admin()
        backend = context.directory.backends.get(slug)
        if backend is None:
            raise not_found(f"there is no backend {slug!r}")
        return self._site.page(context, "backend.html", title=slug, backend=backend, shown=shown)

    def change(self, context: PageContext, slug: str) -> HTTPResponse:
        what = text("what")
        if what == "rotate":
            secret, digest = new_token()
            self._services.gate.submit(context.actor, RotateBackendToken(slug, digest, bool(text("keep_old"))), "web")
            return self.show(self._site.context(), slug, secret)
        commands: dict[str, Command] = {
            "revoke": RevokeBackendToken(slug),
            "deactivate": DeactivateBackend(slug),
            "activate": ActivateBackend(slug),
        }
        if what not in commands:
            raise invalid("expected rotate, revoke, deactivate or activate", "what")
        self._services.gate.submit(context.actor, commands[what], "web")
        return redirect(f"/backends/{slug}/")

    def audit(self, context: PageContext, slug: str) -> HTTPResponse:
        """Of the backend's own document, and of the last week on its branch."""
        if slug not in context.directory.backends:
            raise not_found(f"there is no backend {slug!r}")
        found = audit_tab.entries(self._services.repo, layout.MAIN, [layout.main_path(Kind.BACKEND, slug)])
        week = context.now - timedelta(days=7)
        found += audit_tab.entries(self._services.repo, layout.backend_branch(slug), ["active", "archive"], week)
        found.sort(key=lambda entry: entry.commit.time, reverse=True)
        backend = context.directory.backends[slug]
        return self._site.page(
            context, "audit_backend.html", title=f"Audit of {slug}", backend=backend, entries=found[:200]
        )
