"""Endpoints on bottle: authenticate, then look at the method, then call; every error becomes its answer.

In this order, because a runner with a wrong token must hear about the token (403), whatever else is wrong.
"""

import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any

from bottle import Bottle, HTTPError, HTTPResponse, request, response

from jobserver.domain.base.values import timestamp
from jobserver.web import http
from jobserver.web.authentication import Callers
from jobserver.web.errors import guarded, handler_of
from jobserver.web.metrics import Metrics
from jobserver.web.services import Services

Handler = Callable[..., HTTPResponse]
"""Takes the actor (None on open endpoints) and the URL's parts by name."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """``path`` in bottle's form, ``/api/v2/jobs/``; ``is_open``: nobody has to say who they are.

    ``filters``: the query parameters that GET takes; there is no refusal for others where it is open.
    """

    path: str
    handlers: Mapping[str, Handler]
    is_open: bool = False
    filters: Collection[str] = ()


class Endpoints:
    """Adds endpoints to a bottle application."""

    def __init__(self, app: Bottle, services: Services, callers: Callers, metrics: Metrics) -> None:
        self._app, self._hosted, self._callers, self._metrics = app, services.hosted, callers, metrics
        self.page: Callable[[int], HTTPResponse] | None = None  # what people get at a URL that nobody has
        app.default_error_handler = self._unexpected
        app.catchall = True
        app.add_hook("after_request", _harden)

    def add(self, endpoint: Endpoint) -> None:
        def call(**parts: str) -> HTTPResponse:
            started = time.perf_counter()
            as_of = self._hosted.status.seen_at if self._hosted is not None else None
            reply = self._answer(endpoint, parts)
            if as_of is not None:
                reply.set_header("X-State-As-Of", timestamp(as_of))
            self._metrics.observe(endpoint.path, request.method, reply.status_code, time.perf_counter() - started)
            return reply

        self._app.route(endpoint.path, "ANY", call)
        if endpoint.path.endswith("/"):
            self._app.route(endpoint.path.removesuffix("/"), "ANY", http.slash)

    def _unexpected(self, error: HTTPError) -> HTTPResponse | bytes:
        """What bottle refuses by itself: unknown URLs, and those that are no UTF-8."""
        if self.page is not None and "text/html" in (http.header("Accept") or ""):
            return self.page(error.status_code)
        reasons: dict[int, Any] = {404: "there is nothing at this URL", 400: "this URL can't be read"}
        reply = http.answer({"detail": reasons.get(error.status_code, error.body)})
        error.set_header("Content-Type", "application/json")
        body: bytes = reply.body
        return body

    def _answer(self, endpoint: Endpoint, parts: Mapping[str, str]) -> HTTPResponse:
        def handle() -> HTTPResponse:
            actor = None if endpoint.is_open else self._callers.of_api()
            handler = handler_of(endpoint.handlers)
            if request.method in ("GET", "HEAD") and not endpoint.is_open:
                http.check_filters(endpoint.filters)
            return handler(actor, **parts)

        return guarded(handle, http.refusal)


def _harden() -> None:
    """What every answer has that does not say otherwise: nothing of it is a page that may do anything."""
    headers = response.headers
    headers.setdefault("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
    headers.setdefault("X-Content-Type-Options", "nosniff")
