"""What must hold between the documents of one branch, whatever changed: no job without its request, no request twice,
no token and no name of a person that is another's, nothing that is still referred to deleted. Part of `admit`; a
command's own changes never break these, a push might.
"""

from collections import Counter
from collections.abc import Container, Iterator
from itertools import chain

from jobserver.domain.base import names
from jobserver.domain.base.names import Area, DocPath, Kind, Place
from jobserver.domain.base.state import Change, Changes, State
from jobserver.domain.documents import Backend, Job, JobRequest, Org, Project, StoredPipeline, User, Workspace
from jobserver.domain.job_requests import lifecycle
from jobserver.domain.pipeline.reader import MAX_ACTIONS, RUN_ALL, cycles
from jobserver.errors import Error, Fault, some


def names_it(document: Org | Project | Workspace, kind: Kind, name: str) -> bool:
    """Whether ``document`` refers to this user, org or project: then that can't be deleted."""
    match kind, document:
        case Kind.USER, Workspace():
            return document.created_by == name
        case Kind.USER, Project():
            invited = [one.username for one in document.invitations]
            return name in invited or any(member.username == name for member in document.members)
        case Kind.USER, Org():
            return any(member.username == name for member in document.members)
        case Kind.ORG, Project():
            return document.org == name
        case Kind.PROJECT, Workspace():
            return document.project == name
    return False


def faults(state: State, changes: Changes, policy: int) -> list[Fault]:
    if changes.branch == names.MAIN:
        unique = [*_usernames(state, changes), *_tokens(state, changes)] if policy >= 2 else []
        return unique + _still_named(state, changes)
    if names.branch_backend(changes.branch) is None:
        return []
    return _requests(state, changes)


def _still_named(state: State, changes: Changes) -> list[Fault]:
    found = []
    changed = {change.path: change.after for change in changes.changes}  # what these name now, `admit` looks at
    for path in sorted(path for path, after in changed.items() if after is None):
        where = names.parse_path(names.MAIN, path)
        assert where is not None
        if where.kind is Kind.BACKEND:
            found.append(Fault("a backend is deactivated (active: false), never deleted: it has a branch", path))
        for other in state.referrers(where.kind, where.name):
            if other not in changed:
                found.append(Fault(f"{other} names it", path))
    return found


def _usernames(state: State, changes: Changes) -> Iterator[Fault]:
    """People who are new, and whose name differs from another's by its case only: to be taken for one another."""
    new = [one.after.username for one in changes.changes if one.before is None and isinstance(one.after, User)]
    if not new:
        return
    changed = {change.path for change in changes.changes}
    stay = (user.username for user in state.users() if names.main_path(Kind.USER, user.username) not in changed)
    taken = {username.lower(): username for username in stay}
    for username in new:
        other = taken.setdefault(username.lower(), username)
        if other != username:
            message = f"there is {other!r} already: names differ by more than upper and lower case"
            yield Fault(message, names.main_path(Kind.USER, username), key="username")


def _tokens(state: State, changes: Changes) -> Iterator[Fault]:
    """Tokens that come, and are somebody's already: whoever uses one would act as the other."""
    changed = {change.path: _digests(change.after) for change in changes.changes}
    come = {
        change.path: (Counter(changed[change.path]) - Counter(_digests(change.before))) for change in changes.changes
    }
    if not any(come.values()):
        return
    owners: dict[str, str] = {}
    for path, digests in [*_holders(state, changed), *changed.items()]:
        for sha in digests:
            owners.setdefault(sha, path)
    for path, new in come.items():
        for sha in new:
            if owners[sha] != path or changed[path].count(sha) > 1:
                yield Fault(f"the token {sha[:10]}... is in {owners[sha]} already: make a new one", path, key="tokens")


def _digests(document: object) -> list[str]:
    return [token.sha256 for token in document.tokens] if isinstance(document, User | Backend) else []


def _holders(state: State, without: Container[str]) -> Iterator[tuple[str, list[str]]]:
    """(path, digests) of all who can have tokens, also of those who are switched off."""
    users = ((names.main_path(Kind.USER, one.username), one) for one in state.users())
    backends = ((names.main_path(Kind.BACKEND, one.slug), one) for one in state.backends())
    yield from ((path, _digests(one)) for path, one in chain(users, backends) if path not in without)


def _requests(state: State, changes: Changes) -> list[Fault]:
    found: list[Fault] = []
    moved = {move.place: move.place.moved(move.to) for move in changes.moves}
    parsed = [_parsed(changes.branch, change) for change in changes.changes]
    made = {place for change, where, place in parsed if where.kind is Kind.REQUEST and change.before is None}
    gone = {place for change, where, place in parsed if where.kind is Kind.REQUEST and change.after is None}
    places: dict[str, Place | None] = {}

    def stands(identifier: str) -> Place | None:
        """Where the request is, before its own changes and after the moves."""
        if identifier not in places:
            place = _place(state, identifier)
            places[identifier] = moved.get(place, place) if place else None
        return places[identifier]

    first: dict[str, Place] = {}
    owners: dict[str, Place] = {}
    for change, where, place in parsed:
        if where.kind is Kind.REQUEST and change.before is None:
            there = stands(place.identifier)
            if there is None or there in gone:
                there = first.setdefault(place.identifier, place)
            if there != place:
                found.append(Fault(f"there is this job request already, in {there.folder}", change.path))
        elif where.kind is Kind.JOB and change.after is not None:
            there = stands(place.identifier)
            if place not in made and (there != place or place in gone):
                found.append(Fault("there is no request.yaml beside it that can be read", change.path))
            found += _owned(state, where.name, place, owners, is_new=change.before is None)
    removed = {change.path for change in changes.changes if change.after is None}
    for move in changes.moves:
        if move.to is Area.ACTIVE:
            place = move.place.moved(move.to)
            back = [job for job in state.jobs(move.place) if place.job(job) not in removed]
            found += [fault for job in back for fault in _owned(state, job, place, owners, is_new=True)]
    found += _left(state, gone, removed)
    found += _pipelines(state, parsed, moved, gone)
    found += _unfinished(state, parsed, moved)
    return found


def _parsed(branch: str, change: Change) -> tuple[Change, DocPath, Place]:
    where = names.parse_path(branch, change.path)
    assert where is not None  # `admit` looked at the shapes before
    assert where.place is not None
    return change, where, where.place


def _place(state: State, identifier: str) -> Place | None:
    """Where the request stands; None also for one that can't be read, which whoever may can put anew."""
    try:
        stored = state.find(identifier)
    except Error:
        return None
    return stored.place if stored else None


def _owned(state: State, job: str, place: Place, owners: dict[str, Place], is_new: bool) -> list[Fault]:
    """A job's id is one request's only, among those that are active."""
    if owners.setdefault(job, place) != place:
        return [Fault(f"job {job} is under two job requests", place.job(job))]
    if is_new and (owner := state.owner(job)) not in (None, place.identifier):
        return [Fault(f"job {job} belongs to job request {owner}", place.job(job))]
    return []


def _pipelines(
    state: State, parsed: list[tuple[Change, DocPath, Place]], moved: dict[Place, Place], gone: set[Place]
) -> list[Fault]:
    """A request of version 2 has its pipeline beside it, for as long as it stands; one of version 1 has none there."""
    before = {after: place for place, after in moved.items()}
    files = {place: change for change, where, place in parsed if where.kind is Kind.PIPELINE}
    requests = {place: change for change, where, place in parsed if where.kind is Kind.REQUEST}
    found = [
        Fault(message, place.pipeline, 0, "actions")
        for place, change in files.items()
        if change.before is None and isinstance(change.after, StoredPipeline)
        for message in _senseless(change.after)
    ]
    for place in dict.fromkeys([*files, *requests]):
        pipeline = files[place].after if place in files else _pipeline(state, before.get(place, place))
        change = requests.get(place)
        request = change.after if change is not None else _request(state, place, moved)
        if place in gone or not isinstance(request, JobRequest):
            if pipeline is not None:
                found.append(Fault("there is no request.yaml beside it that can be read", place.pipeline))
        elif (request.version == 2) != (pipeline is not None):
            what = "its pipeline.yaml is missing" if pipeline is None else "its pipeline is in request.yaml"
            found.append(Fault(what, place.request if pipeline is None else place.pipeline))
        elif isinstance(pipeline, StoredPipeline) and (change is None or change.before is None):
            strange = [one for one in request.requested_actions if one not in pipeline.actions and one != RUN_ALL]
            if strange:
                found.append(Fault(f"not in pipeline.yaml: {some(strange)}", place.request, 0, "requested_actions"))
    return found


def _senseless(pipeline: StoredPipeline) -> Iterator[str]:
    """What project.yaml could not say, and nobody could run."""
    if len(pipeline.actions) > MAX_ACTIONS:
        yield f"more than {MAX_ACTIONS}"
    if RUN_ALL in pipeline.actions:
        yield "`run_all` is no action: it stands for all of them"
    for name, action in pipeline.actions.items():
        if unknown := [need for need in action.needs if need not in pipeline.actions]:
            yield f"{name} needs {some(unknown)}, which is not there"
    for cycle in cycles({name: action.needs for name, action in pipeline.actions.items()}):
        yield f"need each other: {some([*cycle, cycle[0]], ' -> ')}"


def _pipeline(state: State, place: Place) -> StoredPipeline | None:
    try:
        return state.pipeline(place)
    except Error:
        return None


def _request(state: State, place: Place, moved: dict[Place, Place]) -> JobRequest | None:
    """The one that stands at ``place`` after the moves, if nothing else changes of it."""
    try:
        stored = state.find(place.identifier)
    except Error:
        return None
    return stored.request if stored and moved.get(stored.place, stored.place) == place else None


def _left(state: State, gone: set[Place], removed: set[str]) -> list[Fault]:
    """Jobs whose request is deleted."""
    return [
        Fault("its request.yaml is deleted", place.job(job))
        for place in gone
        for job in state.jobs(place)
        if place.job(job) not in removed
    ]


def _unfinished(state: State, parsed: list[tuple[Change, DocPath, Place]], moved: dict[Place, Place]) -> list[Fault]:
    """Jobs of archived requests that are not finished; of moved ones, `admit` judges the whole."""
    touched = {place for _, _, place in parsed if place.area is Area.ARCHIVE} - set(moved.values())
    found = []
    for place in touched:
        jobs = dict(state.jobs(place))
        has_request = _place(state, place.identifier) is not None
        for change, where, stands in parsed:
            if stands == place and where.kind is Kind.JOB:
                if isinstance(change.after, Job):
                    jobs[where.name] = change.after
                else:
                    jobs.pop(where.name, None)
            elif stands == place:
                has_request = isinstance(change.after, JobRequest)
        if has_request and not lifecycle.finished(jobs.values()):
            found.append(Fault("a request in archive/ needs jobs, and all of them finished", place.folder + "/"))
    return found
