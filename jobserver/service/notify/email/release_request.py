"""The emails to the author of a request to release files: it was approved, released, rejected or returned."""

from jobserver.domain.outputs.documents import AirlockStep
from jobserver.service.notify.email.mail import Mail
from jobserver.service.notify.release_events import ReleaseEvent

_TEXTS: dict[AirlockStep, tuple[str, str]] = {
    "approved": (
        "Release request approved for workspace {workspace}",
        "Your release request for workspace {workspace} has been approved. Your files will be uploaded.",
    ),
    "released": (
        "Files released for workspace {workspace}",
        "Your files for workspace {workspace} have been released.",
    ),
    "rejected": (
        "Release request rejected: {workspace} ({release})",
        "Your release request {release} for workspace {workspace} has been rejected.",
    ),
    "returned": (
        "Release request returned: {workspace} ({release})",
        "Your release request {release} for workspace {workspace} has been returned to you.",
    ),
}


def email(event: ReleaseEvent, base_url: str) -> Mail | None:
    """None for events that the author gets no email about."""
    texts = _TEXTS.get(event.event.step)
    if texts is None:
        return None
    names = {"workspace": event.release.workspace, "release": event.release.identifier}
    subject, first = (text.format_map(names) for text in texts)
    updates = [f"  - {update}" for update in event.event.updates]
    body = [first, *(["", *updates] if updates else []), "", f"View the release: {event.url(base_url)}"]
    return Mail(subject, "\n".join(body) + "\n")
