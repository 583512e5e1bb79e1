"""What operators' tools call: /health-check/ and /metrics."""

import ipaddress
from typing import Any
from urllib.parse import urlsplit

from bottle import HTTPResponse, request

from jobserver.domain.base.permissions import Actor, ActorKind, Permission
from jobserver.domain.base.rights import permissions_of
from jobserver.errors import forbidden
from jobserver.service.health import Health, check_health
from jobserver.web import http
from jobserver.web.authentication import Callers
from jobserver.web.metrics import Metrics
from jobserver.web.services import Services

_OF_PROXIES = ("X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Real-IP", "Forwarded", "Via")
_FORBIDDEN = "Metrics are for SuperUsers, Auditors and TechSupport"
_SHOWN = 100  # unreadable documents; `jobserver check` lists all


class Operations:
    def __init__(self, services: Services, callers: Callers, metrics: Metrics) -> None:
        self._services, self._callers, self._metrics = services, callers, metrics
        options = services.options
        # With a proxy in front, a call from this machine may be anybody's.
        self._may_be_local = _is_loopback(urlsplit(options.base_url).hostname or "") and not options.proxies

    def alive(self, _: Actor | None) -> HTTPResponse:
        """200 while this process answers, whatever the state of the repository is."""
        return _status([])

    def ready_to_read(self, _: Actor | None) -> HTTPResponse:
        """200 if pages, polls and clones work, else 503."""
        return _status(self._check().read_problems)

    def ready_to_write(self, _: Actor | None) -> HTTPResponse:
        """200 if requests, reports and pushes work too, else 503."""
        health = self._check()
        return _status([*health.read_problems, *health.write_problems])

    def health(self, _: Actor | None) -> HTTPResponse:
        """200 if state can be read and written, else 503. Lists unreadable documents, which alone are not a failure."""
        health = self._check()
        data = {
            "status": "failing" if health.problems else "ok",
            "problems": health.problems,
            "unreadable": [{"branch": branch, "fault": str(fault)} for branch, fault in health.unreadable[:_SHOWN]],
            "unreadable_count": len(health.unreadable),
            # Branches that another program rewrote: `jobserver audit verify` gives details.
            "strayed": list(self._services.strayed()),
            # Emails, calls to webhooks and changes of issues that the server gave up, or will try again.
            "email": list(self._services.unsent("mail")),
            "webhooks": list(self._services.unsent("webhook")),
            "issues": list(self._services.unsent("github")),
            # Controllers that can't be used, or whose answers can't.
            "controllers": self._services.live.problems(),
        }
        return _answer(data, health.problems)

    def _check(self) -> Health:
        return check_health(self._services.repo, self._services.index, self._services.hosted)

    def metrics(self, _: Actor | None) -> HTTPResponse:
        """For SuperUsers, Auditors and TechSupport, and for this machine, unless a proxy on it may be the caller."""
        if not (self._may_be_local and _is_direct()):
            actor = self._callers.of_api()
            directory = self._services.index.directory()
            user = directory.user(actor.name)
            if user is None or actor.kind is not ActorKind.USER:
                raise forbidden(_FORBIDDEN)
            if not permissions_of(directory, user) & {Permission.ADMINISTER, Permission.READ_ALL}:
                raise forbidden(_FORBIDDEN)
        return HTTPResponse(self._metrics.text(), 200, {"Content-Type": self._metrics.content_type})


def _status(problems: list[str]) -> HTTPResponse:
    return _answer({"status": "failing" if problems else "ok", "problems": problems}, problems)


def _answer(data: dict[str, Any], problems: list[str]) -> HTTPResponse:
    return http.answer(data, 503 if problems else 200, {"Cache-Control": "no-store"})


def _is_direct() -> bool:
    """Whether the call came from this machine, and not through a proxy that names another client."""
    if any(http.header(name) is not None for name in _OF_PROXIES):
        return False
    return _is_loopback(request.environ.get("REMOTE_ADDR", ""))


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
