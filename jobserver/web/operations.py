"""What operators' tools ask: /health-check/, /metrics, and the API's own description."""

import ipaddress
from collections.abc import Callable, Sequence

from bottle import HTTPResponse, request

from jobserver.domain.admit import permissions_of
from jobserver.domain.permissions import Actor, Permission
from jobserver.errors import forbidden
from jobserver.index.follow import Index
from jobserver.service.health import look
from jobserver.service.hosted import Hosted
from jobserver.store.repo import StateRepo
from jobserver.web import http
from jobserver.web.callers import Callers
from jobserver.web.metrics import Metrics

_SHOWN = 100  # unreadable documents; `jobserver check` names all


class Operations:
    def __init__(
        self,
        repo: StateRepo,
        index: Index,
        callers: Callers,
        metrics: Metrics,
        strayed: Callable[[], Sequence[str]],
        hosted: Hosted | None = None,
        unsent: Callable[[], Sequence[str]] = tuple,
    ) -> None:
        self._repo, self._index, self._callers, self._metrics = repo, index, callers, metrics
        self._strayed, self._hosted, self._unsent = strayed, hosted, unsent

    def health(self, _: Actor | None) -> HTTPResponse:
        """200 if state can be read and written, else 503; names what can't be read, which alone is no failure."""
        found = look(self._repo, self._index, self._hosted)
        data = {
            "status": "failing" if found.problems else "ok",
            "problems": found.problems,
            "unreadable": [{"branch": branch, "fault": str(fault)} for branch, fault in found.unreadable[:_SHOWN]],
            "unreadable_count": len(found.unreadable),
            # Rewritten behind the server's back: `jobserver audit verify` says more.
            "strayed": list(self._strayed()),
            # Emails that were refused for good since the start, or are tried again.
            "email": list(self._unsent()),
        }
        return http.answer(data, 503 if found.problems else 200, {"Cache-Control": "no-store"})

    def metrics(self, _: Actor | None) -> HTTPResponse:
        """For this machine, and for SuperUsers."""
        if not _loopback():
            actor = self._callers.of_api()
            directory = self._index.directory()
            user = directory.user(actor.name)
            if user is None or Permission.ADMINISTER not in permissions_of(directory, user):
                raise forbidden("metrics are for SuperUsers")
        return HTTPResponse(self._metrics.text(), 200, {"Content-Type": self._metrics.content_type})


def _loopback() -> bool:
    """Whether the call came from this machine, and from nobody that a proxy here speaks for."""
    if http.header("X-Forwarded-For") is not None or http.header("Forwarded") is not None:
        return False
    try:
        return ipaddress.ip_address(request.environ.get("REMOTE_ADDR", "")).is_loopback
    except ValueError:
        return False
