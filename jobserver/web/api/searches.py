"""Job requests and jobs of all times, newest first, by the query language of the event log.

A search looks through a limited number of rows in each call, so a page can have fewer results than `limit` and still
have a next one.
"""

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
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
_REQUESTS = 200  # whose jobs one call looks through
_AFTER = "!"  # sorts before every character of an id


class Searches:
    def __init__(self, services: Services) -> None:
        self._index, self._visible, self._clock = services.index, services.visible, services.clock
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
        begins = _position(after, 3)
        with self._index.view() as sql:
            search, _ = self._search(sql, actor)
            # The request of the last job may have more of them.
            matches = search.page(_REQUESTS, (begins[0], begins[1] + _AFTER) if begins else None)
            passed = after.split(".")[2] if begins else ""
            jobs = list(_jobs(sql, matches.rows, passed, begins[1] if begins else "", size + 1, outcome))
        following = None
        if len(jobs) > size:
            row, job = jobs[size - 1]
            following = f"{row.created_at}.{row.identifier}.{job.identifier}"
        elif matches.older is not None:
            created_at, identifier = matches.older
            following = f"{created_at}.{identifier}.~"  # after all jobs of this one
        return lists.page(self._base_url, [_job_item(row, job) for row, job in jobs[:size]], following)

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


def _jobs(
    sql: sqlite3.Connection, rows: Sequence[JobRequestRow], passed: str, first: str, most: int, outcome: str
) -> Iterator[tuple[JobRequestRow, JobRow]]:
    """Up to ``most`` jobs. Of the request ``first``, those that come after its job ``passed``."""
    count = 0
    for row in rows:
        jobs = sorted(
            (
                job
                for number in branch_numbers(sql, [row.backend])
                for job in jobs_of_request(sql, number, row.identifier)
            ),
            key=lambda job: job.identifier,
        )
        for job in jobs:
            if (row.identifier == first and job.identifier <= passed) or outcome not in ("", job.outcome):
                continue
            yield row, job
            count += 1
            if count == most:
                return


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


def _job_item(row: JobRequestRow, job: JobRow) -> dict[str, Any]:
    return {"job_request": row.identifier, "workspace": row.workspace, "backend": row.backend, **job.as_item()}
