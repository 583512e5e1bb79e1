"""Errors of the server, reported to Sentry: what failed and where, and nothing of who asked for what.

Loaded only where SENTRY_DSN is set.
"""

from typing import Any

import sentry_sdk
from sentry_sdk.integrations.logging import LoggingIntegration
from sentry_sdk.utils import BadDsn, Dsn

from jobserver.errors import invalid


def start(dsn: str, environment: str, release: str) -> None:
    """From now on what is logged as an error is sent, in the background. Raises `Error` (invalid)."""
    check(dsn)
    sentry_sdk.init(
        dsn=dsn,
        environment=environment or "production",
        release=release,
        default_integrations=False,
        auto_enabling_integrations=False,
        integrations=[LoggingIntegration(level=None)],
        send_default_pii=False,
        include_local_variables=False,
        max_request_body_size="never",
        server_name="",
        before_send=_stripped,
    )


def check(dsn: str) -> None:
    """Raises `Error` (invalid) for a DSN that is none."""
    try:
        Dsn(dsn)
    except BadDsn:
        raise invalid("expected a Sentry DSN, such as https://key@sentry.example.org/1", "SENTRY_DSN") from None


def _stripped(event: Any, _: Any) -> Any:
    """Messages may carry names and addresses: of a log entry its template is sent, of an exception its type."""
    for key in ("request", "user", "breadcrumbs", "extra", "modules"):
        event.pop(key, None)
    entry = event.get("logentry")
    if entry:
        event["logentry"] = {"message": entry.get("message", "")}
    for exception in event.get("exception", {}).get("values", ()):
        exception.pop("value", None)
    return event
