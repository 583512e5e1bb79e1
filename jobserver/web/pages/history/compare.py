"""The comparison of two requests of a workspace: the code, and the actions that differ in result and in time."""

from collections.abc import Sequence
from dataclasses import dataclass

from bottle import HTTPResponse

from jobserver.domain.base import identifiers
from jobserver.errors import Error, invalid, not_found
from jobserver.index.queries.jobs import JobRow
from jobserver.index.queries.requests import JobRequestRow, find_request
from jobserver.service.studies.base import StudyChanges
from jobserver.web.pages.context import PageContext
from jobserver.web.pages.forms import text
from jobserver.web.pages.site import Site

_MOST = 500  # actions


@dataclass(frozen=True, slots=True)
class Pair:
    """An action's jobs in the two requests."""

    action: str
    before: JobRow | None
    after: JobRow | None

    @property
    def is_other(self) -> bool:
        return (self.before.outcome if self.before else "") != (self.after.outcome if self.after else "")

    @property
    def slower(self) -> int | None:
        """By how many microseconds; negative if it is quicker, None if one of them did not end."""
        took = [_took(job) for job in (self.before, self.after)]
        return None if took[0] is None or took[1] is None else took[1] - took[0]


class Compare:
    def __init__(self, site: Site) -> None:
        self._site, self._services = site, site.services
        site.add("/<name>/compare/", self.show, filters=("from", "to"))

    def show(self, context: PageContext, name: str) -> HTTPResponse:
        workspace = context.workspace(name)
        before, old_jobs = self._find(name, "from")
        after, new_jobs = self._find(name, "to")
        changes, problem = self._changes(workspace.repo, before.sha, after.sha)
        pairs = _pairs(old_jobs, new_jobs)
        return self._site.page(
            context,
            "history/compare.html",
            title=f"Compare · {name}",
            workspace=workspace,
            before=before,
            after=after,
            changes=changes,
            problem=problem,
            pairs=pairs[:_MOST],
            differing=sum(pair.is_other for pair in pairs),
            took={job.identifier: took for job in (*old_jobs, *new_jobs) if (took := _took(job)) is not None},
        )

    def _find(self, workspace: str, key: str) -> tuple[JobRequestRow, list[JobRow]]:
        """Raises `Error` (invalid, not_found)."""
        identifier = text(key, 64)
        if not identifiers.is_request_id(identifier):
            raise invalid("expected the id of a job request", key)
        with self._services.index.view() as sql:
            row_and_jobs = find_request(sql, identifier, self._services.visible.slugs())
        if row_and_jobs is None or row_and_jobs[0].workspace != workspace:
            raise not_found(f"job request {identifier} of workspace {workspace} does not exist")
        return row_and_jobs

    def _changes(self, repo: str, old: str, new: str) -> tuple[StudyChanges | None, str]:
        """(what changed in a local study, why it can't be read)."""
        if old == new:
            return None, ""
        try:
            return self._services.studies.changes(repo, old, new), ""
        except Error as error:
            return None, str(error)


def _pairs(before: Sequence[JobRow], after: Sequence[JobRow]) -> list[Pair]:
    """Failures of the newer request first, then other results, then the largest difference in time."""
    old, new = ({job.action: job for job in jobs} for jobs in (before, after))
    pairs = [Pair(action, old.get(action), new.get(action)) for action in dict.fromkeys((*new, *old))]
    return sorted(pairs, key=_place)


def _place(pair: Pair) -> tuple[bool, bool, int, str]:
    has_failed = pair.after is not None and pair.after.outcome == "failed"
    return not has_failed, not pair.is_other, -abs(pair.slower or 0), pair.action


def _took(job: JobRow | None) -> int | None:
    if job is None or job.started_at is None or job.completed_at is None:
        return None
    return max(job.completed_at - job.started_at, 0)
