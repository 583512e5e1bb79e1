"""The API's URLs on bottle: authenticate, then check the method, then call the handler.

In this order, because a runner with a wrong token must hear about the token (403), whatever else is wrong.
"""

import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any

from bottle import Bottle, HTTPError, HTTPResponse, request, response

from jobserver.domain.base.values import timestamp
from jobserver.domain.tokens import Scope
from jobserver.web import http
from jobserver.web.authentication import Callers
from jobserver.web.errors import guarded, handler_of
from jobserver.web.metrics import Metrics
from jobserver.web.services import Services

Handler = Callable[..., HTTPResponse]
"""Takes the caller (None on open endpoints), and the parts of the URL by name."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """``path`` is a route of bottle, such as ``/api/v2/jobs/``. An open endpoint needs no token.

    ``filters`` are the query parameters that GET takes. An open endpoint ignores others. ``scope``: what a personal
    token needs for the methods that change something.
    """

    path: str
    handlers: Mapping[str, Handler]
    is_open: bool = False
    filters: Collection[str] = ()
    scope: Scope = Scope.ADMIN


class Endpoints:
    """Adds endpoints to a bottle application."""

    def __init__(self, app: Bottle, services: Services, callers: Callers, metrics: Metrics) -> None:
        self._app, self._hosted, self._callers, self._metrics = app, services.hosted, callers, metrics
        self._readers = services.readers
        self.page: Callable[[int], HTTPResponse] | None = None  # for unknown URLs, in browsers
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
        """For errors of bottle itself: unknown URLs, and URLs that are not UTF-8."""
        if self.page is not None and "text/html" in (http.header("Accept") or ""):
            return self.page(error.status_code)
        reasons: dict[int, Any] = {404: "Not found", 400: "The URL is not UTF-8"}
        reply = http.answer({"detail": reasons.get(error.status_code, error.body)})
        error.set_header("Content-Type", "application/json")
        body: bytes = reply.body
        return body

    def _answer(self, endpoint: Endpoint, parts: Mapping[str, str]) -> HTTPResponse:
        def handle() -> HTTPResponse:
            is_read = request.method in ("GET", "HEAD")
            actor = None if endpoint.is_open else self._callers.of_api(Scope.READ if is_read else endpoint.scope)
            self._readers.begin(actor, is_open=endpoint.is_open)
            handler = handler_of(endpoint.handlers)
            if is_read and not endpoint.is_open:
                http.check_filters(endpoint.filters)
            return handler(actor, **parts)

        return guarded(handle, http.refusal)


def _harden() -> None:
    """Headers of every answer: a browser must not run or frame one that does not set its own, and the owner of a token
    that expires can read when."""
    headers = response.headers
    headers.setdefault("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
    headers.setdefault("X-Content-Type-Options", "nosniff")
    if expires := request.environ.get(http.TOKEN_EXPIRES):
        headers["Token-Expires"] = expires
