"""Takes what Airlock tells about requests to release files. The record has each event, and what follows from it."""

from typing import Any

from bottle import HTTPResponse

from jobserver.domain.base.permissions import Actor
from jobserver.domain.base.validation import kind
from jobserver.domain.outputs.airlock import STEPS, RecordAirlockEvent
from jobserver.errors import Code, Error, invalid
from jobserver.web import http
from jobserver.web.api.airlock.fields import known_fields
from jobserver.web.api.airlock.names import ReleaseFinder
from jobserver.web.api.common import require_backend
from jobserver.web.services import Services

_LATER = (Code.UNAVAILABLE, Code.TOO_MANY)
_STEPS = {f"request_{step.replace('-', '_')}": step for step in STEPS}
_LONGEST = 500


class EventsApi:
    """Airlock logs what is wrong only in an answer of 201: so that is what a wrong event gets."""

    def __init__(self, services: Services) -> None:
        self._gate, self._finder = services.gate, ReleaseFinder(services)

    def record(self, actor: Actor) -> HTTPResponse:
        require_backend(actor)
        data = http.read_json(http.read_body())
        try:
            command = event_command(actor.name, data)
            self._finder.check_own(command.identifier, actor.name)
            written = self._gate.submit(actor, command, "http")
        except Error as error:
            if error.code in _LATER:
                raise
            return http.answer({"status": "error", "message": str(error)}, 201)
        return http.written({"status": "ok"}, written.commit, 201)


def event_command(backend: str, data: Any) -> RecordAirlockEvent:
    """Raises `Error` (invalid)."""
    names = ("event_type", "workspace", "request", "request_author", "user", "org", "repo", "updates")
    fields = known_fields(data, *names)
    event_type, workspace, request = fields.text("event_type"), fields.text("workspace"), fields.text("request")
    author, person = fields.text("request_author"), fields.text("user")
    org, repository = fields.text("org", None), fields.text("repo", None)
    updates = fields.take("updates")
    fields.done()
    step = _STEPS.get(event_type.lower())
    if step is None:
        raise invalid(f"Unknown event type {event_type[:100]!r}: expected one of {', '.join(_STEPS)}")
    named = f"{org}/{repository}" if org and repository else None
    return RecordAirlockEvent(backend, workspace, request, step, author, person, _lines(updates), named)


def _lines(updates: Any) -> tuple[str, ...]:
    """Each detail of the event on one line, for people. Raises `Error` (invalid)."""
    if not isinstance(updates, list | None):
        raise invalid(f"expected a list, found {kind(updates)}", "updates")
    return tuple(_line(update) for update in updates or ())


def _line(update: Any) -> str:
    fields = known_fields(update, "update", "update_type", "group", "user")
    text, old = fields.text("update", None), fields.text("update_type", None)
    group, person = fields.text("group", None), fields.text("user", None)
    fields.done()
    parts = [old or text or "updated", f"(filegroup {group})" if group else "", f"by user {person}" if person else ""]
    line = " ".join(part for part in parts if part)
    return "".join(char if char.isprintable() else " " for char in line)[:_LONGEST]
