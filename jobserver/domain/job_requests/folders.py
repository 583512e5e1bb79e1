"""The rules for the files in one job request's folder, which pushes must keep.

Each job and pipeline has its request. No request is in two folders. No job belongs to two active requests. A request is
in ``archive/`` exactly when all of its jobs are finished. Commands always keep these rules.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from jobserver.domain.base.layout import Area, DocPath, Kind, Place, parse_path
from jobserver.domain.base.rules import Proposal
from jobserver.domain.base.state import Change, Move
from jobserver.domain.job_requests import lifecycle
from jobserver.domain.job_requests.jobs import Job
from jobserver.domain.job_requests.pipelines import StoredPipeline
from jobserver.domain.job_requests.requests import JobRequest
from jobserver.domain.pipeline.graph import RUN_ALL
from jobserver.errors import Error, Fault, some

_NO_REQUEST = "the folder has no readable request.yaml"


def folder_faults(proposal: Proposal) -> Iterator[Fault]:
    """Every fault in the folders that these changes of a backend's branch affect."""
    folders = _Folders(proposal)
    yield from folders.wrong_moves()
    for file in folders.files:
        if file.path.kind is Kind.REQUEST and file.change.before is None:
            yield from folders.second_request(file)
        elif file.path.kind is Kind.JOB and file.change.after is not None:
            yield from folders.wrong_job(file)
    yield from folders.owned_jobs_moved_back()
    yield from folders.jobs_of_deleted_requests()
    yield from folders.wrong_pipelines()
    yield from folders.unfinished_in_archive()


@dataclass(frozen=True, slots=True)
class _File:
    change: Change
    path: DocPath
    place: Place


class _Folders:
    def __init__(self, proposal: Proposal) -> None:
        self.state, self.changes = proposal.state, proposal.changes
        self.moved = {move.place: move.place.moved(move.to) for move in self.changes.moves}
        paths = [(change, parse_path(self.changes.branch, change.path)) for change in self.changes.changes]
        self.files = [_File(change, path, path.place) for change, path in paths if path and path.place]
        requests = [file for file in self.files if file.path.kind is Kind.REQUEST]
        self.created = {file.place for file in requests if file.change.before is None}
        self.deleted = {file.place for file in requests if file.change.after is None}
        self.removed = {change.path for change in self.changes.changes if change.after is None}
        self._places: dict[str, Place | None] = {}  # of requests, by identifier
        self._first: dict[str, Place] = {}  # folders of created requests, by identifier
        self._owners: dict[str, Place] = {}  # folders of jobs, by the job's identifier

    def wrong_moves(self) -> Iterator[Fault]:
        """Moves that leave a request in the wrong area for its jobs."""
        for move in self.changes.moves:
            if lifecycle.finished(self._jobs_after(move).values()) != (move.to is Area.ARCHIVE):
                folder = move.place.moved(move.to).folder + "/"
                yield Fault(
                    "a request belongs in archive/ if all of its jobs are finished, and in active/ if not", folder
                )

    def _jobs_after(self, move: Move) -> dict[str, Job]:
        return self._with_changes(dict(self.state.jobs(move.place)), move.place.moved(move.to))

    def _with_changes(self, jobs: dict[str, Job], place: Place) -> dict[str, Job]:
        """These jobs of the folder at ``place`` after the changes."""
        for file in self.files:
            if file.place == place and file.path.kind is Kind.JOB:
                if isinstance(file.change.after, Job):
                    jobs[file.path.name] = file.change.after
                else:
                    jobs.pop(file.path.name, None)
        return jobs

    def second_request(self, file: _File) -> Iterator[Fault]:
        """A created request whose identifier another folder has."""
        identifier = file.place.identifier
        place = self._place(identifier)
        if place is None or place in self.deleted:
            place = self._first.setdefault(identifier, file.place)
        if place != file.place:
            yield Fault(f"this job request already exists in {place.folder}", file.change.path)

    def wrong_job(self, file: _File) -> Iterator[Fault]:
        """A written job without a request, or with the identifier of another request's job."""
        is_kept = self._place(file.place.identifier) == file.place and file.place not in self.deleted
        if not is_kept and file.place not in self.created:
            yield Fault(_NO_REQUEST, file.change.path)
        yield from self._second_owner(file.path.name, file.place, is_new=file.change.before is None)

    def _second_owner(self, job: str, place: Place, is_new: bool) -> Iterator[Fault]:
        """The identifier of a job belongs to one active request only."""
        if self._owners.setdefault(job, place) != place:
            yield Fault(f"job {job} is in two job requests", place.job(job))
        elif is_new and (owner := self.state.owner(job)) not in (None, place.identifier):
            yield Fault(f"job {job} belongs to job request {owner}", place.job(job))

    def owned_jobs_moved_back(self) -> Iterator[Fault]:
        """Jobs that come back from the archive, and whose identifiers belong to other requests by now."""
        for move in self.changes.moves:
            if move.to is Area.ACTIVE:
                place = move.place.moved(move.to)
                for job in self.state.jobs(move.place):
                    if place.job(job) not in self.removed:
                        yield from self._second_owner(job, place, is_new=True)

    def jobs_of_deleted_requests(self) -> Iterator[Fault]:
        for place in self.deleted:
            for job in self.state.jobs(place):
                if place.job(job) not in self.removed:
                    yield Fault("its request.yaml is deleted", place.job(job))

    def wrong_pipelines(self) -> Iterator[Fault]:
        """A request of version 2 has a pipeline.yaml beside it, a request of version 1 has none."""
        if all(file.path.kind is Kind.JOB for file in self.files):  # as in every report
            return
        pipelines = {file.place: file.change for file in self.files if file.path.kind is Kind.PIPELINE}
        requests = {file.place: file.change for file in self.files if file.path.kind is Kind.REQUEST}
        before = {after: place for place, after in self.moved.items()}
        for place in dict.fromkeys([*pipelines, *requests]):
            pipeline = pipelines[place].after if place in pipelines else self._pipeline(before.get(place, place))
            change = requests.get(place)
            request = change.after if change is not None else self._request(place)
            if place in self.deleted or not isinstance(request, JobRequest):
                if pipeline is not None:
                    yield Fault(_NO_REQUEST, place.pipeline)
            elif (request.version == 2) != (pipeline is not None):
                if pipeline is None:
                    yield Fault("its pipeline.yaml is missing", place.request)
                else:
                    yield Fault("its request.yaml has the pipeline already", place.pipeline)
            elif isinstance(pipeline, StoredPipeline) and (change is None or change.before is None):
                yield from _unknown_actions(request, pipeline, place)

    def unfinished_in_archive(self) -> Iterator[Fault]:
        """Archived requests with jobs that are not finished. `wrong_moves` looks at those that are moved."""
        archived = {file.place for file in self.files if file.place.area is Area.ARCHIVE}
        for place in archived - set(self.moved.values()):
            has_request = self._stored_place(place.identifier) is not None
            for file in self.files:
                if file.place == place and file.path.kind is not Kind.JOB:
                    has_request = isinstance(file.change.after, JobRequest)
            jobs = self._with_changes(dict(self.state.jobs(place)), place)
            if has_request and not lifecycle.finished(jobs.values()):
                yield Fault(
                    "a request in archive/ must have jobs, and all of them must be finished", place.folder + "/"
                )

    def _place(self, identifier: str) -> Place | None:
        """Where a request is after the moves, before the request's own changes."""
        if identifier not in self._places:
            place = self._stored_place(identifier)
            self._places[identifier] = self.moved.get(place, place) if place else None
        return self._places[identifier]

    def _stored_place(self, identifier: str) -> Place | None:
        """None also for a request that cannot be read, which people may replace."""
        try:
            stored = self.state.find(identifier)
        except Error:
            return None
        return stored.place if stored else None

    def _request(self, place: Place) -> JobRequest | None:
        """The request that is at ``place`` after the moves, if its own file does not change."""
        try:
            stored = self.state.find(place.identifier)
        except Error:
            return None
        return stored.request if stored and self.moved.get(stored.place, stored.place) == place else None

    def _pipeline(self, place: Place) -> StoredPipeline | None:
        try:
            return self.state.pipeline(place)
        except Error:
            return None


def _unknown_actions(request: JobRequest, pipeline: StoredPipeline, place: Place) -> Iterator[Fault]:
    unknown = [name for name in request.requested_actions if name not in pipeline.actions and name != RUN_ALL]
    if unknown:
        yield Fault(f"not in pipeline.yaml: {some(unknown)}", place.request, 0, "requested_actions")
