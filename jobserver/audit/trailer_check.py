"""Whether a commit says what it does: its trailers and author against what it changes. Pure."""

from collections.abc import Sequence
from dataclasses import replace

from jobserver.domain import releases
from jobserver.domain.base import layout, urls
from jobserver.domain.base.layout import Area, Kind
from jobserver.domain.base.permissions import Actor, ActorKind
from jobserver.domain.base.state import Changes
from jobserver.domain.job_requests.requests import JobRequest
from jobserver.domain.record import KEY_EVENTS
from jobserver.store.read.tree_changes import Commit

# Events of commits that change no document: what a branch begins with, and its keys.
WITHOUT_DOCUMENTS = KEY_EVENTS | {"branch.opened"}
_KINDS = {
    "push": Kind.RECEIPT,
    "tips": Kind.CHECKPOINT,
    "backend": Kind.BACKEND,
    "user": Kind.USER,
    "org": Kind.ORG,
    "project": Kind.PROJECT,
    "workspace": Kind.WORKSPACE,
}


def disagreements(commit: Commit, actor: Actor, changes: Changes, others: Sequence[str]) -> list[str]:
    """What does not fit, in words; ``others`` are changed files that are no documents."""
    found = []
    event = commit.trailer("Event")
    if commit.trailer("Branch") != changes.branch:
        found.append(f"says Branch: {commit.trailer('Branch') or 'nothing'}, and stands on {changes.branch}")
    if not is_author(commit.author, actor):
        found.append(f"says Actor: {actor}, and its author is {commit.author}")
    if event in WITHOUT_DOCUMENTS:
        if changes:
            found.append(f"says Event: {event}, and changes documents")
        return found
    if others:
        found.append(f"says Event: {event}, and changes {', '.join(others)}")
    if not _fits(event, changes):
        found.append(f"says Event: {event or 'nothing'}, and does something else")
    said = {value for key, value in commit.trailers() if key == "Job-Request"}
    done = _touched(changes)
    if said != done:
        found.append(f"says Job-Request: {', '.join(sorted(said)) or 'nothing'}; it is {', '.join(sorted(done))}")
    return found


def is_author(email: str, actor: Actor) -> bool:
    """Whether this is the actor's own address; of a runner that knows no host, the address ends before it."""
    if actor.kind is ActorKind.SERVER:
        return email.startswith(f"{actor.name}@")
    place = "users" if actor.kind is ActorKind.USER else "backends"
    before, _, host = email.partition(f"{actor.name}@{place}")
    return not before and (not host or (host[0] == "." and urls.is_host(host[1:])))


def told(commit: Commit, changes: Changes) -> Changes:
    """With the release that the commit says it is about; its trees can't say that. Raises `Error` (invalid)."""
    if commit.trailer("Event") != releases.EVENT:
        return changes
    return replace(changes, release=releases.read_trailers(commit.trailers()))


def _touched(changes: Changes) -> set[str]:
    places = [where.place for change in changes.changes if (where := layout.parse_path(changes.branch, change.path))]
    return {place.identifier for place in places if place} | {move.place.identifier for move in changes.moves}


def _fits(event: str, changes: Changes) -> bool:
    made = changes.changes
    kinds = {where.kind for change in made if (where := layout.parse_path(changes.branch, change.path))}
    if event == releases.EVENT:
        return not made and not changes.moves
    if event == "jobs.updated":
        return kinds <= {Kind.JOB} and bool(changes)
    if event == "job-requests.archived":
        return not made and bool(changes.moves) and all(move.to is Area.ARCHIVE for move in changes.moves)
    if changes.moves:
        return False
    if event == "job-request.created":  # with its pipeline beside it, or, in version 1, within
        is_new = all(change.before is None for change in made)
        return is_new and (len(made), kinds) in ((1, {Kind.REQUEST}), (2, {Kind.REQUEST, Kind.PIPELINE}))
    if len(made) != 1:
        return False
    (change,) = made
    if event == "job-request.cancelled":
        return kinds == {Kind.REQUEST} and isinstance(change.before, JobRequest) and change.after is not None
    kind, _, verb = event.partition(".")
    if verb == "created" and change.before is not None:
        return False
    return change.after is not None and kinds == {_KINDS.get(kind)}
