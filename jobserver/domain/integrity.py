"""What must hold between the documents of one branch, whatever changed: no job without its request, no request twice,
nothing that is still referred to deleted. Part of `admit`; a command's own changes never break these, a push might.
"""

from jobserver.domain import lifecycle, names
from jobserver.domain.documents import Job, JobRequest
from jobserver.domain.names import Area, DocPath, Kind, Place
from jobserver.domain.state import Change, Changes, State
from jobserver.errors import Fault


def faults(state: State, changes: Changes) -> list[Fault]:
    if changes.branch == names.MAIN:
        return _still_named(state, changes)
    if names.branch_backend(changes.branch) is None:
        return []
    return _requests(state, changes)


def _still_named(state: State, changes: Changes) -> list[Fault]:
    found = []
    gone = {change.path for change in changes.changes if change.after is None}
    for path in sorted(gone):
        where = names.parse_path(names.MAIN, path)
        assert where is not None
        if where.kind is Kind.BACKEND:
            found.append(Fault("a backend is deactivated (active: false), never deleted: it has a branch", path))
        for other in state.referrers(where.kind, where.name):
            if other not in gone:
                found.append(Fault(f"{other} names it", path))
    return found


def _requests(state: State, changes: Changes) -> list[Fault]:
    found: list[Fault] = []
    moved = {move.place: move.place.moved(move.to) for move in changes.moves}
    parsed = [(change, where) for change in changes.changes if (where := names.parse_path(changes.branch, change.path))]
    made = {where.place for change, where in parsed if where.kind is Kind.REQUEST and change.before is None}
    gone = {where.place for change, where in parsed if where.kind is Kind.REQUEST and change.after is None}
    places: dict[str, Place | None] = {}

    def stands(identifier: str) -> Place | None:
        """Where the request is, before its own changes and after the moves."""
        if identifier not in places:
            stored = state.find(identifier)
            places[identifier] = moved.get(stored.place, stored.place) if stored else None
        return places[identifier]

    owners: dict[str, Place] = {}
    for change, where in parsed:
        place = where.place
        assert place is not None
        if where.kind is Kind.REQUEST and change.before is None:
            there = stands(place.identifier)
            if there is not None and there not in gone:
                found.append(Fault(f"there is this job request already, in {there.folder}", change.path))
        elif where.kind is Kind.JOB and change.after is not None:
            there = stands(place.identifier)
            if place not in made and (there != place or place in gone):
                found.append(Fault("there is no request.yaml beside it", change.path))
            found += _owned(state, change, place, owners)
    found += _left(state, parsed, gone)
    found += _unfinished(state, parsed, moved)
    return found


def _owned(state: State, change: Change, place: Place, owners: dict[str, Place]) -> list[Fault]:
    """A job's id is one request's only."""
    job = change.after
    assert isinstance(job, Job)
    if owners.setdefault(job.identifier, place) != place:
        return [Fault(f"job {job.identifier} is under two job requests", change.path)]
    if change.before is None and state.owner(job.identifier) not in (None, place.identifier):
        return [Fault(f"job {job.identifier} belongs to job request {state.owner(job.identifier)}", change.path)]
    return []


def _left(state: State, parsed: list[tuple[Change, DocPath]], gone: set[Place | None]) -> list[Fault]:
    """Jobs whose request is deleted."""
    deleted = {change.path for change, _ in parsed if change.after is None}
    return [
        Fault("its request.yaml is deleted", place.job(job))
        for place in gone
        if place is not None
        for job in state.jobs(place)
        if place.job(job) not in deleted
    ]


def _unfinished(state: State, parsed: list[tuple[Change, DocPath]], moved: dict[Place, Place]) -> list[Fault]:
    """Jobs of archived requests that are not finished; of moved ones, `admit` judges the whole."""
    there = {where.place for _, where in parsed if where.place and where.place.area is Area.ARCHIVE}
    touched = there - set(moved.values())
    found = []
    for place in touched:
        assert place is not None
        jobs = dict(state.jobs(place))
        has_request = state.find(place.identifier) is not None
        for change, where in parsed:
            if where.place == place and where.kind is Kind.JOB:
                if isinstance(change.after, Job):
                    jobs[where.name] = change.after
                else:
                    jobs.pop(where.name, None)
            elif where.place == place:
                has_request = isinstance(change.after, JobRequest)
        if has_request and not lifecycle.finished(jobs.values()):
            found.append(Fault("a request in archive/ needs jobs, and all of them finished", place.folder + "/"))
    return found
