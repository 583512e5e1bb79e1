"""Reads what Airlock sends. Keys that are not known are ignored, as job-server does: Airlock may be newer than this."""

from typing import Any

from jobserver.web import http
from jobserver.web.api.fields import Fields


def sent_fields(*known: str) -> Fields:
    """The fields of the call's JSON object. Raises `Error` (invalid)."""
    return known_fields(http.read_json(http.read_body()), *known)


def known_fields(data: Any, *known: str) -> Fields:
    if isinstance(data, dict):
        data = {key: value for key, value in data.items() if key in known}
    return Fields(data)
