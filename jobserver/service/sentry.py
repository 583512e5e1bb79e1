"""Errors of the server, reported to Sentry: what failed and where, and nothing of who asked for what.

Loaded only where SENTRY_DSN is set. What is sent is made anew from what may be known, rather than freed from what may
not: an error's text, a log line's values, a URL, a header or a local variable may each hold a token or a name.
"""

from typing import Any

import sentry_sdk
from sentry_sdk.integrations.logging import LoggingIntegration
from sentry_sdk.utils import BadDsn, Dsn

from jobserver.errors import invalid
from jobserver.store.proxies import whole_proxy_of

_PLAIN = ("event_id", "timestamp", "level", "platform", "logger", "environment", "release", "sdk")
_FRAME = ("filename", "module", "function", "lineno", "in_app")


def start(dsn: str, environment: str, release: str) -> None:
    """From now on what is logged as an error is sent, in the background. Raises `Error` (invalid)."""
    check(dsn)
    proxy = whole_proxy_of(dsn)  # Sentry's own look knows no all_proxy
    sentry_sdk.init(
        dsn=dsn,
        http_proxy=proxy,
        https_proxy=proxy,
        environment=environment or "production",
        release=release,
        default_integrations=False,
        auto_enabling_integrations=False,
        integrations=[LoggingIntegration(level=None)],
        send_default_pii=False,
        include_local_variables=False,
        include_source_context=False,
        max_request_body_size="never",
        max_breadcrumbs=0,
        auto_session_tracking=False,
        send_client_reports=False,
        server_name="",
        before_send=_bare,
    )


def check(dsn: str) -> None:
    """Raises `Error` (invalid) for a DSN that is none."""
    try:
        Dsn(dsn)
    except BadDsn:
        raise invalid("expected a Sentry DSN, such as https://key@sentry.example.org/1", "SENTRY_DSN") from None


def _bare(event: Any, _: Any) -> Any:
    """What may be sent of an event; None for what others log, who may have put values into their messages."""
    if str(event.get("logger", "")).partition(".")[0] != "jobserver":
        return None
    allowed = {key: event[key] for key in _PLAIN if key in event}
    if message := event.get("logentry", {}).get("message"):
        allowed["logentry"] = {"message": message}  # as it stands in the code, without the values
    if values := event.get("exception", {}).get("values"):
        allowed["exception"] = {"values": [_exception(value) for value in values]}
    return allowed


def _exception(value: Any) -> dict[str, Any]:
    frames = (value.get("stacktrace") or {}).get("frames", ())
    return {
        "type": value.get("type"),
        "module": value.get("module"),
        "stacktrace": {"frames": [{key: frame[key] for key in _FRAME if key in frame} for frame in frames]},
    }
