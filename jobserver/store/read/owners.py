"""Which active job request each job belongs to, on one branch: follows the commits, whatever the number of jobs."""

from collections.abc import Iterable

from jobserver.domain.base import layout
from jobserver.domain.base.layout import Area, Kind
from jobserver.domain.base.state import Changes
from jobserver.domain.job_requests.jobs import Job


class JobOwners:
    def __init__(self, owners: Iterable[tuple[str, str]]) -> None:
        """``owners``: (job, its active request)."""
        self._owners: dict[str, str] = {}
        self._jobs: dict[str, set[str]] = {}  # by request
        for job, request in owners:
            self._add(job, request)

    def get(self, job: str) -> str | None:
        return self._owners.get(job)

    def follow(self, changes: Changes) -> bool:
        """False if they have to be read again: a request became active again, which is rare."""
        if any(move.to is Area.ACTIVE for move in changes.moves):
            return False
        for move in changes.moves:
            for job in self._jobs.pop(move.place.identifier, ()):
                del self._owners[job]
        for change in changes.changes:
            where = layout.parse_path(changes.branch, change.path)
            if where and where.place and where.place.area is Area.ACTIVE and where.kind is Kind.JOB:
                request = where.place.identifier
                if isinstance(change.after, Job):
                    self._remove(where.name)
                    self._add(where.name, request)
                elif self._owners.get(where.name) == request:  # and not moved to another
                    self._remove(where.name)
        return True

    def _add(self, job: str, request: str) -> None:
        self._owners[job] = request
        self._jobs.setdefault(request, set()).add(job)

    def _remove(self, job: str) -> None:
        if (request := self._owners.pop(job, None)) is not None:
            self._jobs[request].discard(job)
