"""Publications: a developer asks that anybody may read some released files, and a publisher decides.

They end in the same way: a developer asks, and a publisher ends them, who need not be asked.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import TypeAlias, assert_never

from jobserver.domain.base.permissions import Actor
from jobserver.domain.base.state import Changes, State
from jobserver.domain.outputs.documents import Deed, Publication
from jobserver.domain.outputs.steps import count_of, require_paths, standing_release, write_release
from jobserver.errors import conflict, invalid


@dataclass(frozen=True, slots=True)
class RequestPublication:
    """Asks that anybody may read these files, or all that were released."""

    backend: str
    workspace: str
    identifier: str
    files: tuple[str, ...] = ()
    comment: str = ""


@dataclass(frozen=True, slots=True)
class ApprovePublication:
    backend: str
    workspace: str
    identifier: str


@dataclass(frozen=True, slots=True)
class RequestUnpublication:
    """Asks a publisher to end the publication."""

    backend: str
    workspace: str
    identifier: str
    comment: str = ""


@dataclass(frozen=True, slots=True)
class EndPublication:
    """Declines a publication that was asked for, or ends one that is public."""

    backend: str
    workspace: str
    identifier: str
    reason: str


_Next: TypeAlias = ApprovePublication | RequestUnpublication | EndPublication
Command: TypeAlias = RequestPublication | _Next


def plan(state: State, command: Command, actor: Actor, now: datetime) -> Changes:
    before, now = standing_release(state, command.workspace, command.identifier, now)
    release = f"release {before.identifier} of {before.workspace}"
    last, earlier = before.open_publication, before.publications
    if isinstance(command, RequestPublication):
        if last is not None:
            raise conflict(f"the publication of {release} was asked for by {last.requested.by} already")
        require_paths(before, command.files)
        paths = tuple(dict.fromkeys(command.files)) or tuple(file.path for file in before.live_files())
        if not paths:
            raise conflict(f"{release} has no files that could be published")
        deed = Deed(by=actor.name, at=now, comment=command.comment or None)
        publication = Publication(files=paths, requested=deed)
        event, action = "publication-requested", "asked to publish"
    else:
        if last is None:
            raise conflict(f"nothing of {release} is published, or was asked to be")
        earlier = earlier[:-1]
        publication, event, action = _next(last, command, release, actor, now)
    subject = f"{actor.name} {action} {count_of(len(publication.files))} of {release}"
    after = before.model_copy(update={"publications": (*earlier, publication)})
    return write_release(state, before, after, event, subject)


def _next(last: Publication, command: _Next, release: str, actor: Actor, now: datetime) -> tuple[Publication, str, str]:
    """The publication after a command, the event's name and the verb of its subject."""
    match command:
        case ApprovePublication():
            if last.approved is not None:
                raise conflict(f"{release} was published by {last.approved.by} already")
            key, deed = "approved", Deed(by=actor.name, at=now)
            event, action = "published", "published"
        case RequestUnpublication():
            if last.approved is None:
                raise conflict(f"{release} is not published")
            if last.end_requested is not None:
                raise conflict(f"{last.end_requested.by} has asked for the end of this publication already")
            key, deed = "end_requested", Deed(by=actor.name, at=now, comment=command.comment or None)
            event, action = "unpublication-requested", "asked to unpublish"
        case EndPublication():
            if not command.reason.strip():
                raise invalid("say why the publication ends", "reason", field="reason")
            key, deed = "ended", Deed(by=actor.name, at=now, comment=command.reason)
            event, action = "unpublished", "unpublished" if last.is_public else "declined to publish"
        case _:
            assert_never(command)
    return last.model_copy(update={key: deed}), event, action
