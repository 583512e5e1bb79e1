"""What an import writes: the commit of each document that the repository does not have yet.

A decision is made on the branch as it is when the writer comes to it, so an import that was interrupted, or comes
again, finds what is there and adds the rest.
"""

from collections.abc import Mapping
from datetime import datetime

from jobserver.domain.admit import Admitted, admit
from jobserver.domain.base import layout
from jobserver.domain.base.layout import Area, Kind, Place, main_path
from jobserver.domain.base.permissions import SERVER, Role
from jobserver.domain.base.state import Change, Changes, Move, State, Stored
from jobserver.domain.base.values import same
from jobserver.domain.documents import AnyDocument
from jobserver.domain.job_requests import lifecycle
from jobserver.domain.job_requests.jobs import Job
from jobserver.domain.record import SUFFIX, TRAILER
from jobserver.domain.releases import IMPORTED
from jobserver.domain.users import User
from jobserver.service.imports.context import ImportedDocument
from jobserver.service.imports.releases import ImportedRelease
from jobserver.service.imports.requests import ImportedRequest
from jobserver.store.read.snapshot import Snapshot

ROW = "Imported-Row"


class ImportCommits:
    """``digest``: of the statement. ``updates``: whether documents of main that are there already are made equal to
    the old ones; not once people have changed them here."""

    def __init__(self, digest: str, updates: bool) -> None:
        self._digest, self._updates = digest, updates

    def of_document(self, state: Snapshot, imported: ImportedDocument, now: datetime) -> Admitted:
        """Creates or updates a document of main. Raises `Error` if its rules refuse it."""
        path = main_path(imported.kind, imported.name)
        before = _stored(state, imported.kind, imported.name)
        after = imported.document
        if before is not None and not self._updates:
            after = before
        elif isinstance(before, User) and isinstance(after, User):
            after = _merged(before, after, now)
        changes = () if same(before, after) else (Change(path, before, after),)
        trailers = [(TRAILER, self._digest), (ROW, imported.row)]
        if imported.kind in (Kind.WORKSPACE, Kind.PROJECT):
            trailers.insert(0, (imported.kind.value.capitalize(), imported.name))
        proposed = Changes(
            layout.MAIN,
            imported.kind.value + SUFFIX,
            f"jobserver imported {imported.kind.value} {imported.name}",
            changes,
            trailers=tuple(trailers),
            origin=imported.origin,
        )
        return admit(state, proposed, SERVER, now)

    def of_request(self, state: Snapshot, imported: ImportedRequest, place: Place | None, now: datetime) -> Admitted:
        """Creates a job request with its jobs, or adds to the one at ``place`` what it lacks. Raises `Error`."""
        request = imported.request
        state = state.with_places({request.identifier: place})
        stored = None if place is None else state.find(request.identifier)
        changes, moves = _new(imported) if stored is None else _added(state, stored, imported, now)
        proposed = Changes(
            state.branch,
            Kind.REQUEST.value + SUFFIX,
            f"jobserver imported a job request of {request.created_by} on {request.workspace.name}",
            changes,
            moves,
            trailers=(
                ("Job-Request", request.identifier),
                ("Workspace", request.workspace.name),
                (TRAILER, self._digest),
                (ROW, imported.row),
            ),
            origin=imported.origin,
        )
        return admit(state, proposed, SERVER, now)

    def of_release(self, state: Snapshot, imported: ImportedRelease, now: datetime) -> Admitted:
        """Records a release. Raises `Error`."""
        release = imported.stored.release
        proposed = Changes(
            state.branch,
            IMPORTED,
            f"jobserver imported a release of {release.workspace}",
            trailers=(*release.trailers(), (TRAILER, self._digest), (ROW, imported.row)),
            release=release,
            origin=imported.origin,
        )
        return admit(state, proposed, SERVER, now)


def _stored(state: State, kind: Kind, name: str) -> AnyDocument | None:
    match kind:
        case Kind.USER:
            return state.user(name)
        case Kind.ORG:
            return state.org(name)
        case Kind.PROJECT:
            return state.project(name)
        case Kind.BACKEND:
            return state.backend(name)
    return state.workspace(name)


def _merged(before: User, after: User, now: datetime) -> User:
    """An account that is here keeps its roles and tokens; ADMIN_USERS are here before the first import."""
    is_admin = Role.SUPER_USER in before.roles
    is_enabled = after.active and not before.active
    return after.model_copy(
        update={
            "github_id": after.github_id or before.github_id,
            "name": after.name or before.name,
            "roles": tuple(dict.fromkeys((*before.roles, *after.roles))),
            "active": after.active or (is_admin and before.active),
            "sessions_since": now if is_enabled else before.sessions_since,
            "tokens": before.tokens,
        }
    )


def _new(imported: ImportedRequest) -> tuple[tuple[Change, ...], tuple[Move, ...]]:
    place = imported.place
    documents: Mapping[str, AnyDocument] = {
        place.request: imported.request,
        place.pipeline: imported.pipeline,
        **{place.job(job.identifier): job for job in imported.jobs},
    }
    return tuple(Change(path, None, document) for path, document in documents.items()), ()


def _added(
    state: State, stored: Stored, imported: ImportedRequest, now: datetime
) -> tuple[tuple[Change, ...], tuple[Move, ...]]:
    """The cancellations and the newer jobs of ``imported`` that are not in the repository yet."""
    place, before = stored.place, dict(state.jobs(stored.place))
    after: dict[str, Job] = dict(before)
    for job in imported.jobs:
        old = before.get(job.identifier)
        if old is None or (not same(old, job) and lifecycle.takes(old, job, now)):
            after[job.identifier] = job
    if place.area is Area.ARCHIVE and not lifecycle.finished(after.values()):
        return (), ()  # the old server has forgotten that it finished
    moves: tuple[Move, ...] = ()
    if place.area is Area.ACTIVE and lifecycle.finished(after.values()):
        moves, place = (Move(place, Area.ARCHIVE),), place.moved(Area.ARCHIVE)
    changes = [Change(place.job(name), before.get(name), job) for name, job in after.items()]
    cancelled = stored.request.cancelled_actions
    new = tuple(action for action in imported.request.cancelled_actions if action not in cancelled)
    if new:
        request = stored.request.model_copy(update={"cancelled_actions": (*cancelled, *new)})
        changes.append(Change(place.request, stored.request, request))
    return tuple(change for change in changes if not same(change.before, change.after)), moves
