"""Job requests: the runners' list with its held polls, one job request with its jobs, creating and cancelling."""

import contextlib
import threading
from collections.abc import Iterator
from time import monotonic
from urllib.parse import urlencode

import orjson
from bottle import HTTPResponse, request

from jobserver.domain.base.permissions import Actor, ActorKind
from jobserver.domain.pipeline.reader import MAX_ACTIONS
from jobserver.errors import invalid, not_found, unauthenticated
from jobserver.index.items import detail, job_item, request_item
from jobserver.index.listing import Listing, etag, list_body
from jobserver.index.queries.requests import RequestItem, find_item
from jobserver.service.forecasts import Forecasts, RequestForecast, forecast_items
from jobserver.service.writes.job_requests import Rerun
from jobserver.store.write.submission import WriteResult
from jobserver.web import http
from jobserver.web.api.common import Keys, require_person
from jobserver.web.api.fields import Fields
from jobserver.web.authentication import Callers
from jobserver.web.metrics import Metrics
from jobserver.web.services import Services

MAX_HELD = 256
"""Polls that wait at once, each in a thread; one more is answered immediately."""


class JobRequestsApi:
    def __init__(self, services: Services, callers: Callers, keys: Keys, metrics: Metrics) -> None:
        self._index, self._requests, self._visible = services.index, services.requests, services.visible
        self._base_url, self._callers = services.options.base_url, callers
        self._keys, self._metrics = keys, metrics
        self._forecasts = Forecasts(
            services.repo,
            lambda slug: services.index.directory().backends.get(slug),
            services.live.contacts,
            services.clock,
        )
        self._slots, self._room = threading.Semaphore(MAX_HELD), services.budgets.polls

    def list_active(self, actor: Actor) -> HTTPResponse:
        slugs, _ = self._visible.chosen(actor)
        limit, offset = _number("limit"), _number("offset") or 0
        listing = self._index.listing(slugs)
        body, tag = self._read(listing, limit, offset)
        headers: dict[str, str] = {}
        if (seconds := http.wait_seconds()) is not None and http.header("If-None-Match") is not None:
            # If every thread held a poll, nobody else would be served: polls over the limit are answered at once.
            if not http.unchanged(tag):
                headers["Preference-Applied"] = f"wait={seconds}"
            elif self._slots.acquire(blocking=False):
                headers["Preference-Applied"] = f"wait={seconds}"
                with self._held(str(actor)):
                    ends = monotonic() + seconds
                    while http.unchanged(tag) and not self._index.is_closing and (left := ends - monotonic()) > 0:
                        listing = self._index.wait(slugs, listing.etag, left)
                        body, tag = self._read(listing, limit, offset)
                if self._callers.again() != actor:
                    raise unauthenticated("Invalid token")
        if http.unchanged(tag):
            return http.not_modified(tag, headers)
        return http.answer(body, headers={"ETag": tag, **headers})

    @contextlib.contextmanager
    def _held(self, who: str) -> Iterator[None]:
        """While a poll waits; its slot is taken already."""
        with contextlib.ExitStack() as held:
            held.callback(self._slots.release)
            self._room.enter(who)
            held.callback(self._room.leave, who)
            self._metrics.held(1)
            held.callback(self._metrics.held, -1)
            yield

    def _read(self, listing: Listing, limit: int | None, offset: int) -> tuple[bytes, str]:
        """(body, ETag) of the listing, or of one page of it."""
        if limit is None and not offset:
            return listing.body, listing.etag
        body = self._part(listing, limit, offset)
        return body, etag(body)

    def _part(self, listing: Listing, limit: int | None, offset: int) -> bytes:
        count = len(listing.items)
        size = count if limit is None else limit
        items = [item for _, item in listing.items[offset : offset + size]]
        following = self._page(size, offset + size) if offset + size < count else None
        previous = self._page(size, max(offset - size, 0)) if offset > 0 else None
        return list_body(count, items, orjson.dumps(following), orjson.dumps(previous))

    def _page(self, limit: int, offset: int) -> str:
        kept = [(key, value) for key, value in request.query.allitems() if key not in ("limit", "offset")]
        more = [("limit", limit), *([("offset", offset)] if offset else [])]
        query_ = urlencode([*kept, *more], encoding="latin-1")  # WSGI's strings hold the bytes of the request
        return f"{self._base_url}/api/v2/job-requests/?{query_}"

    def show(self, actor: Actor, identifier: str) -> HTTPResponse:
        item, jobs, cancelled_by = self._find(actor, identifier)
        item = {**detail(item, jobs), "cancelled_by": cancelled_by}
        forecast = RequestForecast({})
        if item["completed_at"] is None and not self._index.problem:
            with self._index.view() as sql:
                forecast = self._forecasts.of(sql, identifier, self._visible.slugs())
        of_request, of_jobs = forecast_items(forecast)
        jobs = [job | of_jobs.get(job["identifier"], {}) for job in item["jobs"]]
        return http.answer(item | of_request | {"jobs": jobs})

    def _find(self, actor: Actor, identifier: str) -> RequestItem:
        """Raises `Error` (not_found), also if this server or this token does not show its backend."""
        slugs = (actor.name,) if actor.kind is ActorKind.BACKEND else self._visible.slugs()
        with self._index.view() as sql:
            item = find_item(sql, identifier, slugs)
        if item is None and self._index.problem:
            # On a full disk, the rows may lag behind git, which has everything that was acknowledged.
            seen = self._requests.with_cancellers(self._requests.find(identifier))
            if seen.stored.request.backend in slugs:
                item = request_item(seen.stored.request), [job_item(job) for job in seen.jobs], seen.cancelled_by
        if item is None:
            raise not_found(f"Job request {identifier} does not exist")
        return item

    def create(self, actor: Actor, workspace: str) -> HTTPResponse:
        require_person(actor)
        body = http.read_body()
        key = self._keys.of(actor, body)
        fields = Fields(http.read_json(body))
        actions = fields.texts("requested_actions", MAX_ACTIONS)
        backend = fields.text("backend")
        force = fields.flag("force_run_dependencies", False)
        notify = fields.flag("will_notify", None)
        database = fields.text("database_name", None)
        fields.done()
        self._visible.require(backend)
        written = self._requests.request_jobs(
            actor,
            workspace,
            tuple(actions),
            backend,
            "http",
            key=key,
            force_run_dependencies=bool(force),
            will_notify=notify,
            database_name=database,
        )
        return self._created(written)

    def _created(self, written: WriteResult) -> HTTPResponse:
        location = f"{self._base_url}/api/v2/job-requests/{written.changes.result['identifier']}/"
        return self._written(written, 201, {"Location": location})

    def rerun(self, actor: Actor, identifier: str) -> HTTPResponse:
        fields, key = self._keys.fields(actor)
        actions = fields.texts("actions", MAX_ACTIONS, empty=True, default=[])
        only_failed = fields.flag("only_failed", False)
        commit = fields.text("commit", None) or "newest"
        fields.done()
        if commit not in ("newest", "same"):
            raise invalid(f"expected newest or same, found {commit!r}", "commit")
        self._find(actor, identifier)
        rerun = Rerun(tuple(actions), bool(only_failed), commit == "same")
        written = self._requests.rerun(actor, identifier, rerun, "http", key)
        return self._created(written)

    def cancel(self, actor: Actor, identifier: str) -> HTTPResponse:
        require_person(actor)
        body = http.read_body()
        key = self._keys.of(actor, body)
        fields = Fields(http.read_json(body) if body else {})
        actions = fields.texts("actions", MAX_ACTIONS, empty=True, default=[])
        fields.done()
        self._find(actor, identifier)
        return self._written(self._requests.cancel(actor, identifier, tuple(actions), "http", key), 200, {})

    def _written(self, written: WriteResult, status: int, headers: dict[str, str]) -> HTTPResponse:
        """An answer from the commit itself, so that a repeated call gets the same one."""
        seen = self._requests.read_written(written)
        item = detail(request_item(seen.stored.request), [job_item(job) for job in seen.jobs])
        if status == 201 and seen.warnings:
            item["warnings"] = seen.warnings
        return http.written(item, written.commit, status, headers)


def _number(name: str) -> int | None:
    """A query parameter that is a number. A malformed one counts as not given, as in job-server."""
    value = request.query.get(name, "")
    return int(value) if value.isascii() and value.isdecimal() and len(value) < 10 and int(value) > 0 else None
