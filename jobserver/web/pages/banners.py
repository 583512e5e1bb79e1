"""The banner about backends that are offline: on pages that are about them, until a person dismisses it."""

from collections.abc import Collection, Mapping

import orjson
from bottle import HTTPResponse

from jobserver.domain.waiting.backend_status import BackendStatus
from jobserver.web.pages.sessions import Sessions

_COOKIE = "dismissed"
_SECONDS = 30 * 86400
_MOST = 20


def late_backends(
    sessions: Sessions, statuses: Mapping[str, BackendStatus], about: Collection[str]
) -> dict[str, BackendStatus]:
    """``about``: the backends that the page is about. A backend that comes back and goes again is shown again."""
    late = {slug: statuses[slug] for slug in about if slug in statuses and statuses[slug].is_late}
    dismissed = _dismissed(sessions) if late else {}
    return {slug: status for slug, status in late.items() if dismissed.get(slug) != _last_seen(status)}


def dismiss(sessions: Sessions, reply: HTTPResponse, slug: str, status: BackendStatus) -> None:
    others = {other: seen for other, seen in _dismissed(sessions).items() if other != slug}
    kept = dict(list(others.items())[-_MOST + 1 :]) | {slug: _last_seen(status)}
    sessions.remember(reply, _COOKIE, orjson.dumps(kept).decode(), _SECONDS)


def _dismissed(sessions: Sessions) -> dict[str, str]:
    try:
        dismissed = orjson.loads(sessions.recall(_COOKIE, _SECONDS) or "{}")
    except ValueError:  # a note of another kind
        return {}
    return dismissed if isinstance(dismissed, dict) else {}


def _last_seen(status: BackendStatus) -> str:
    return f"{status.last_seen:%Y-%m-%d %H:%M}" if status.last_seen else "never"
