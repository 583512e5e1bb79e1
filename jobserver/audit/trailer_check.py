"""Compares a commit's trailers and author with what it changes. Pure."""

from collections.abc import Sequence
from dataclasses import replace

from jobserver.domain import record, releases
from jobserver.domain.base import layout, urls
from jobserver.domain.base.layout import Area, Kind
from jobserver.domain.base.permissions import SERVER, Actor, ActorKind
from jobserver.domain.base.state import Changes
from jobserver.domain.job_requests.requests import JobRequest
from jobserver.domain.outputs import views
from jobserver.domain.record import KEY_EVENTS
from jobserver.store.read.commits import Commit

# Events of commits that change no document: those that open a branch or change its keys.
WITHOUT_DOCUMENTS = KEY_EVENTS | {"branch.opened"}
_RELEASED = frozenset({releases.EVENT, releases.IMPORTED})
_KINDS = {
    "push": Kind.RECEIPT,
    "tips": Kind.CHECKPOINT,
    "database": Kind.IMPORT,
    "backend": Kind.BACKEND,
    "user": Kind.USER,
    "org": Kind.ORG,
    "project": Kind.PROJECT,
    "workspace": Kind.WORKSPACE,
    "message": Kind.MESSAGE,
    "release": Kind.RELEASE,
}


def disagreements(commit: Commit, actor: Actor, changes: Changes, others: Sequence[str]) -> list[str]:
    """What the commit says wrongly. ``others``: changed files that are not documents."""
    problems = []
    event = commit.trailer("Event")
    if commit.trailer("Branch") != changes.branch:
        problems.append(f"says Branch: {commit.trailer('Branch') or 'nothing'}, but is on {changes.branch}")
    authors = _imported_authors(commit.author) if record.is_import(event) else [actor]
    if not any(is_author(commit.author, author) for author in authors):
        problems.append(f"says Actor: {actor}, but its author is {commit.author}")
    if event in WITHOUT_DOCUMENTS:
        if changes:
            problems.append(f"says Event: {event}, but changes documents")
        return problems
    if others:
        problems.append(f"says Event: {event}, but changes {', '.join(others)}")
    if not _fits(event, changes):
        problems.append(f"says Event: {event or 'nothing'}, but does something else")
    stated = {value for key, value in commit.trailers() if key == "Job-Request"}
    actual = _touched(changes)
    if stated != actual:
        trailer = ", ".join(sorted(stated)) or "nothing"
        problems.append(f"says Job-Request: {trailer}; it is {', '.join(sorted(actual))}")
    return problems


def is_author(email: str, actor: Actor) -> bool:
    """Whether the email address is the actor's own. A runner that knows no host leaves the host out."""
    if actor.kind is ActorKind.SERVER:
        return email.startswith(f"{actor.name}@")
    place = "users" if actor.kind is ActorKind.USER else "backends"
    before, _, host = email.partition(f"{actor.name}@{place}")
    return not before and (not host or (host[0] == "." and urls.is_host(host[1:])))


def _imported_authors(email: str) -> list[Actor]:
    """Whom the author of an imported commit may be: any person, any backend, or the server."""
    name, _, place = email.partition("@")
    kinds = [kind for kind in (ActorKind.USER, ActorKind.BACKEND) if place.startswith(f"{kind.value}s")]
    return [SERVER, *(Actor(kind, name) for kind in kinds)]


def with_release(commit: Commit, changes: Changes) -> Changes:
    """Adds the release, or the look at one, that the commit's trailers describe, which its tree can't. Raises `Error`
    (invalid)."""
    if commit.trailer("Event") == views.EVENT:
        return replace(changes, view=views.read_trailers(commit.trailers()))
    if commit.trailer("Event") not in _RELEASED:
        return changes
    return replace(changes, release=releases.read_trailers(commit.trailers()))


def _touched(changes: Changes) -> set[str]:
    places = [where.place for change in changes.changes if (where := layout.parse_path(changes.branch, change.path))]
    return {place.identifier for place in places if place} | {move.place.identifier for move in changes.moves}


def _fits(event: str, changes: Changes) -> bool:
    documents = changes.changes
    kinds = {where.kind for change in documents if (where := layout.parse_path(changes.branch, change.path))}
    if event in _RELEASED or event == views.EVENT:
        return not documents and not changes.moves
    if event == "job-request.imported":  # created with all of its jobs, or changed by a later import
        is_to_archive = all(move.to is Area.ARCHIVE for move in changes.moves)
        return kinds <= {Kind.REQUEST, Kind.PIPELINE, Kind.JOB} and len(_touched(changes)) == 1 and is_to_archive
    if event == "jobs.updated":
        return kinds <= {Kind.JOB} and bool(changes)
    if event == "job-requests.archived":
        return not documents and bool(changes.moves) and all(move.to is Area.ARCHIVE for move in changes.moves)
    if changes.moves:
        return False
    if event == "job-request.created":  # with its pipeline beside it, or, in version 1, within
        is_new = all(change.before is None for change in documents)
        return is_new and (len(documents), kinds) in ((1, {Kind.REQUEST}), (2, {Kind.REQUEST, Kind.PIPELINE}))
    if len(documents) != 1:
        return False
    (change,) = documents
    if event == "job-request.cancelled":
        return kinds == {Kind.REQUEST} and isinstance(change.before, JobRequest) and change.after is not None
    kind, _, verb = event.partition(".")
    if verb == "created" and change.before is not None:
        return False
    return change.after is not None and kinds == {_KINDS.get(kind)}
