"""Job requests and jobs of all times, newest first, by the query language of the event log.

A search looks through a limited number of rows in each call, so a page can have fewer results than `limit` and still
have a next one.
"""

import sqlite3
from collections.abc import Mapping, Sequence
from typing import Any

from bottle import HTTPResponse

from jobserver.domain.base.permissions import Actor, ActorKind
from jobserver.domain.job_requests import outcomes
from jobserver.domain.job_requests.query import parse
from jobserver.errors import invalid
from jobserver.index.queries.branches import branch_numbers
from jobserver.index.queries.jobs import JobRow, jobs_of_request, micros_text
from jobserver.index.queries.requests import JobRequestRow, items_of
from jobserver.index.queries.search import Position, RequestSearch
from jobserver.web.api import lists
from jobserver.web.pages.views.search import check_values
from jobserver.web.services import Services

JOB_FILTERS = ("q", "backend", "outcome", *lists.PAGING)
_REQUESTS, _CHUNK = 200, 50  # whose jobs one call looks through; those that it reads in one go
_AFTER = "!"  # sorts before every character of an id


class Searches:
    def __init__(self, services: Services) -> None:
        self._index, self._visible, self._clock = services.index, services.visible, services.clock
        self._readings = services.readings
        self._base_url = services.options.base_url

    def requests(self, actor: Actor) -> HTTPResponse:
        size, before = lists.limit(), _position(lists.text("after"), 2)
        with self._index.view() as sql:
            search, slugs = self._search(sql, actor)
            matches = search.page(size, before)
            items = items_of(sql, [row.identifier for row in matches.rows], slugs)
        results = [_request_item(row, items[row.identifier]) for row in matches.rows if row.identifier in items]
        return lists.page(self._base_url, results, ".".join(map(str, matches.older)) if matches.older else None)

    def jobs(self, actor: Actor) -> HTTPResponse:
        size, outcome = lists.limit(), lists.named("outcome", outcomes.OUTCOMES)
        after = lists.text("after")
        _position(after, 3)  # checks it
        with self._index.view() as sql:
            search, _ = self._search(sql, actor)
            jobs, older = _some_jobs(sql, search, after, size + 1, outcome)
        following = None
        if len(jobs) > size:
            row, job = jobs[size - 1]
            following = f"{row.created_at}.{row.identifier}.{job.identifier}"
        elif older is not None:
            created_at, identifier = older
            following = f"{created_at}.{identifier}.~"  # after all jobs of this one
        return lists.page(self._base_url, [self._job_item(row, job) for row, job in jobs[:size]], following)

    def _job_item(self, row: JobRequestRow, recorded: JobRow) -> dict[str, Any]:
        (job,) = self._readings.newest(row.backend, [recorded])
        return {"job_request": row.identifier, "workspace": row.workspace, "backend": row.backend, **job.as_item()}

    def _search(self, sql: sqlite3.Connection, actor: Actor) -> tuple[RequestSearch, Sequence[str]]:
        """With the backends that are searched. Raises `Error` (invalid, forbidden)."""
        slugs, _ = self._visible.chosen(actor)
        username = actor.name if actor.kind is ActorKind.USER else ""
        query = parse(lists.text("q")).resolved(username, self._clock().date())
        check_values(sql, self._index.directory(), query, self._visible.slugs())
        return RequestSearch(sql, query, slugs), slugs


def _position(after: str, parts: int) -> Position | None:
    """Raises `Error` (invalid)."""
    if not after:
        return None
    created_at, *rest = after.split(".")
    if not (created_at.isascii() and created_at.isdecimal() and len(created_at) < 19 and len(rest) == parts - 1):
        raise invalid("expected a value from `next` of the page before", "after")
    return int(created_at), rest[0]


def _some_jobs(
    sql: sqlite3.Connection, search: RequestSearch, after: str, most: int, outcome: str
) -> tuple[list[tuple[JobRequestRow, JobRow]], Position | None]:
    """Up to ``most`` jobs of _REQUESTS requests, and the place in the list after these requests."""
    begins, passed = _position(after, 3), after.rpartition(".")[2]
    # The request of the last job of the page before may have more of them.
    before: Position | None = (begins[0], begins[1] + _AFTER) if begins else None
    jobs: list[tuple[JobRequestRow, JobRow]] = []
    left = _REQUESTS
    while left > 0 and len(jobs) < most:
        matches = search.page(min(left, _CHUNK), before)
        for row in matches.rows:
            first = begins is not None and row.identifier == begins[1]
            jobs += [(row, job) for job in _jobs_of(sql, row) if not (first and job.identifier <= passed)]
        jobs = [(row, job) for row, job in jobs if outcome in ("", job.outcome)]
        left, before = left - max(len(matches.rows), _CHUNK), matches.older
        if before is None:
            break
    return jobs[:most], before


def _jobs_of(sql: sqlite3.Connection, row: JobRequestRow) -> list[JobRow]:
    numbers = branch_numbers(sql, [row.backend])
    jobs = [job for number in numbers for job in jobs_of_request(sql, number, row.identifier)]
    return sorted(jobs, key=lambda job: job.identifier)


def _request_item(row: JobRequestRow, item: Mapping[str, Any]) -> dict[str, Any]:
    return {
        **item,
        "status": outcomes.reported_status(row.outcome),
        "outcome": row.outcome,
        "started_at": micros_text(row.started_at),
        "completed_at": micros_text(row.completed_at),
        "cancelled_by": list(row.cancelled_by),
        "job_count": row.jobs,
        "succeeded_count": row.succeeded,
    }
