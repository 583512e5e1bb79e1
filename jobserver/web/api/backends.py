"""Backends, with their state and their queues; the message that every page shows."""

from collections.abc import Mapping
from typing import Any

from bottle import HTTPResponse

from jobserver.domain.backends import (
    ActivateBackend,
    Backend,
    ConnectController,
    DeactivateBackend,
    DisconnectController,
    PauseBackend,
    ResumeBackend,
    RevokeBackendToken,
)
from jobserver.domain.base.permissions import Actor
from jobserver.domain.plan import Command
from jobserver.domain.rap.controller import GITHUB
from jobserver.domain.site_messages import MessageLevel, SetSiteMessage
from jobserver.domain.waiting.backend_status import BackendStatus, backend_status
from jobserver.errors import not_found
from jobserver.index.items import time_text
from jobserver.index.queries.requests import Queue, queue
from jobserver.web import http
from jobserver.web.api import lists
from jobserver.web.api.common import Keys, require_person
from jobserver.web.services import Services

_MOST_DATABASES = 100


class BackendsApi:
    def __init__(self, services: Services, keys: Keys) -> None:
        self._services, self._index, self._gate, self._keys = services, services.index, services.gate, keys
        self._base_url = services.options.base_url

    def index(self, actor: Actor) -> HTTPResponse:
        require_person(actor)
        slugs = sorted(self._services.visible.slugs())
        with self._index.view() as sql:
            queues = {slug: queue(sql, slug) for slug in slugs}
        backends = self._index.directory().backends
        chosen = ((slug, backends[slug]) for slug in slugs if slug in backends)
        return lists.page_of(self._base_url, chosen, lambda backend: self._item(backend, queues[backend.slug]))

    def show(self, actor: Actor, slug: str) -> HTTPResponse:
        require_person(actor)
        return http.answer(self._shown(slug))

    def edit(self, actor: Actor, slug: str) -> HTTPResponse:
        """One change a call: each is an event of its own."""
        fields, key = self._keys.fields(actor)
        choices: Mapping[str, tuple[Command, Command]] = {
            "active": (DeactivateBackend(slug), ActivateBackend(slug)),
            "accepts_requests": (PauseBackend(slug), ResumeBackend(slug)),
        }
        name = "active" if fields.has("active") else "accepts_requests"
        fields.none_of([other for other in choices if other != name], f"change this and {name} in calls of their own")
        is_on = fields.flag(name)
        fields.done()
        written = self._gate.submit(actor, choices[name][bool(is_on)], "http", key)
        return http.written(self._shown(slug), written.commit)

    def revoke_old_tokens(self, actor: Actor, slug: str) -> HTTPResponse:
        fields, key = self._keys.fields(actor)
        fields.done()
        written = self._gate.submit(actor, RevokeBackendToken(slug), "http", key)
        return http.written(self._shown(slug), written.commit)

    def connect(self, actor: Actor, slug: str) -> HTTPResponse:
        fields, key = self._keys.fields(actor)
        url, repositories = fields.text("url"), fields.text("repositories", None)
        databases = fields.named_texts("databases", _MOST_DATABASES)
        fields.done()
        command = ConnectController(slug, url, databases, GITHUB if repositories is None else repositories)
        written = self._gate.submit(actor, command, "http", key)
        return http.written(self._shown(slug), written.commit)

    def disconnect(self, actor: Actor, slug: str) -> HTTPResponse:
        fields, key = self._keys.fields(actor)
        fields.done()
        written = self._gate.submit(actor, DisconnectController(slug), "http", key)
        return http.written(self._shown(slug), written.commit)

    # The site message

    def message(self, actor: Actor) -> HTTPResponse:
        require_person(actor)
        return http.answer(self._message())

    def set_message(self, actor: Actor) -> HTTPResponse:
        fields, key = self._keys.fields(actor)
        text, level = fields.text("text"), fields.text("level", None)
        fields.done()
        written = self._gate.submit(actor, SetSiteMessage(text, level or MessageLevel.INFO), "http", key)
        return http.written(self._message(), written.commit)

    def remove_message(self, actor: Actor) -> HTTPResponse:
        fields, key = self._keys.fields(actor)
        fields.done()
        written = self._gate.submit(actor, SetSiteMessage(""), "http", key)
        return http.written(self._message(), written.commit)

    def _message(self) -> dict[str, str]:
        message = self._index.directory().site_message
        return {"text": message.text if message else "", "level": message.level if message else MessageLevel.INFO}

    def _shown(self, slug: str) -> dict[str, Any]:
        """Raises `Error` (not_found)."""
        backend = self._index.directory().backend(slug)
        if backend is None or slug not in self._services.visible.slugs():
            raise not_found(f"Backend {slug[:100]} does not exist")
        with self._index.view() as sql:
            return self._item(backend, queue(sql, slug))

    def _item(self, backend: Backend, waiting: Queue) -> dict[str, Any]:
        contact = self._services.live.contacts().get(backend.slug)
        status = backend_status(backend, contact, self._services.clock())
        return {
            "slug": backend.slug,
            "name": backend.name,
            "databases": list(backend.databases),
            "active": backend.active,
            "accepts_requests": not backend.is_paused,
            "is_online": status.is_fine,
            "last_seen": time_text(status.last_seen),
            "controller": _controller(backend, status),
            "active_requests": waiting.active,
            "running_requests": waiting.running,
        }


def _controller(backend: Backend, status: BackendStatus) -> dict[str, Any] | None:
    if backend.rap is None:
        return None
    problem, since = status.problem or (None, None)
    return {
        "url": backend.rap.url,
        "databases": dict(backend.rap.databases),
        "repositories": backend.rap.repositories,
        "problem": problem,
        "problem_since": time_text(since),
    }
