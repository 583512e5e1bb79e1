"""Bugs, told to Sentry where SENTRY_DSN is set: where in the code, of which kind; nothing of whom or what it was about.

What is sent is made anew from what may be known, rather than freed from what may not: an error's text, a log line's
values, a URL, a header or a local variable may each hold a token or a name.
"""

import logging
from collections.abc import Mapping
from typing import Any

from jobserver import __version__
from jobserver.errors import invalid

_PLAIN = ("event_id", "timestamp", "level", "platform", "logger", "environment", "release", "sdk")
_FRAME = ("filename", "module", "function", "lineno", "in_app")
_OURS = "jobserver"


def start(dsn: str, environment: str) -> None:
    """Does nothing without a ``dsn``. Raises `Error` (invalid) for one that Sentry's library does not take."""
    if not dsn:
        return
    # Imported here: who does not use it shall not pay for it, nor trust it.
    import sentry_sdk
    from sentry_sdk.integrations.logging import LoggingIntegration
    from sentry_sdk.utils import BadDsn

    try:
        sentry_sdk.init(
            dsn,
            environment=environment or None,
            release=f"{_OURS}@{__version__}",
            default_integrations=False,
            auto_enabling_integrations=False,
            integrations=[LoggingIntegration(level=None, event_level=logging.ERROR, sentry_logs_level=None)],
            before_send=_bare,  # type: ignore[arg-type]
            send_default_pii=False,
            include_local_variables=False,
            include_source_context=False,
            max_request_body_size="never",
            max_breadcrumbs=0,
            auto_session_tracking=False,
            send_client_reports=False,
        )
    except BadDsn as error:
        raise invalid(f"expected a DSN such as https://key@sentry.example.org/1: {error}", "SENTRY_DSN") from None


def _bare(event: Mapping[str, Any], _: Mapping[str, Any]) -> dict[str, Any] | None:
    """What may be sent of an event; None for what others than this project log."""
    if str(event.get("logger", "")).partition(".")[0] != _OURS:
        return None
    told: dict[str, Any] = {key: event[key] for key in _PLAIN if key in event}
    if message := event.get("logentry", {}).get("message"):
        told["logentry"] = {"message": message}  # as it stands in the code, without the values
    values = event.get("exception", {}).get("values", ())
    if values:
        told["exception"] = {"values": [_exception(one) for one in values]}
    return told


def _exception(value: Mapping[str, Any]) -> dict[str, Any]:
    frames = (value.get("stacktrace") or {}).get("frames", ())
    return {
        "type": value.get("type"),
        "module": value.get("module"),
        "stacktrace": {"frames": [{key: frame[key] for key in _FRAME if key in frame} for frame in frames]},
    }
