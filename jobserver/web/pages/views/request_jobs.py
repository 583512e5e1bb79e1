"""The list of a request's jobs: what failed comes first, and a filter by name and status. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

from jobserver.domain.job_requests.outcomes import OUTCOMES
from jobserver.errors import invalid
from jobserver.index.queries.jobs import JobRow
from jobserver.web.pages.format.graph_groups import SHOWN, place_of
from jobserver.web.pages.views.timeline import Bar, Timeline

_MOST_JOBS = 100  # shown one by one
_MOST_NAMES = 100  # beyond those, in a group that is open
_LEAST_FILTERED = 5
_OPEN = 20  # of a request in which everything succeeded


@dataclass(frozen=True, slots=True)
class JobFilter:
    """An empty field matches everything."""

    name: str = ""
    outcome: str = ""

    def __bool__(self) -> bool:
        return bool(self.name or self.outcome)

    def matches(self, job: JobRow) -> bool:
        return self.name.lower() in job.action.lower() and self.outcome in ("", job.outcome)


@dataclass(frozen=True, slots=True)
class JobGroup:
    """Jobs of one outcome. ``listed``: those that are shown one by one, with their bars on the timeline; ``short``:
    those of which only the name is. ``matching``: how many match the filter."""

    outcome: str
    listed: Sequence[tuple[JobRow, Bar | None]]
    short: Sequence[JobRow]
    is_open: bool
    matching: int

    @property
    def count(self) -> int:
        return len(self.listed) + len(self.short)


@dataclass(frozen=True, slots=True)
class JobList:
    """``matching``: how many jobs match the filter."""

    groups: Sequence[JobGroup]
    chosen: JobFilter
    matching: int

    @property
    def counts(self) -> dict[str, int]:
        """Outcome -> number of jobs, for the filter."""
        return {group.outcome: group.count for group in self.groups}

    @property
    def has_filter(self) -> bool:
        return sum(self.counts.values()) >= _LEAST_FILTERED or bool(self.chosen)

    @property
    def shown(self) -> list[JobRow]:
        """Those that are shown one by one."""
        return [job for group in self.groups for job, _ in group.listed]


def job_filter(name: str, outcome: str) -> JobFilter:
    """Raises `Error` (invalid)."""
    if outcome and outcome not in OUTCOMES:
        raise invalid(f"expected one of: {', '.join(OUTCOMES)}", "outcome")
    return JobFilter(name.strip(), outcome)


def job_list(jobs: Sequence[JobRow], chosen: JobFilter, timeline: Timeline | None, now: int) -> JobList:
    ordered = sorted(jobs, key=lambda job: place_of(job.outcome))
    room, groups = _MOST_JOBS, []
    for outcome, members in groupby(ordered, key=lambda job: job.outcome):
        some = list(members)
        is_all, is_long = len(some) == len(jobs), len(some) > room + _MOST_NAMES
        folds = (not is_all or len(some) > _OPEN) if outcome == "succeeded" else is_long and outcome not in SHOWN
        listed = [(job, timeline.bar(job, now) if timeline is not None else None) for job in some[:room]]
        groups.append(JobGroup(outcome, listed, some[room:], bool(chosen) or not folds, sum(map(chosen.matches, some))))
        room -= len(listed)
    return JobList(groups, chosen, sum(group.matching for group in groups))
