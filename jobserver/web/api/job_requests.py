"""Job requests: the list, one job request with its jobs, creating, cancelling and running again."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeAlias
from urllib.parse import urlencode

import orjson
from bottle import HTTPResponse, request

from jobserver.domain.base.permissions import Actor, ActorKind
from jobserver.domain.job_requests.jobs import FailJob, RetryRequest
from jobserver.domain.job_requests.requests import check_actions
from jobserver.domain.pipeline.graph import preview
from jobserver.domain.pipeline.reader import MAX_ACTIONS
from jobserver.errors import invalid, not_found
from jobserver.index import reader
from jobserver.index.items import detail, job_item, request_item
from jobserver.index.listing import Listing, etag, list_body
from jobserver.index.queries.jobs import latest_jobs, row_of_job
from jobserver.index.queries.requests import RequestItem, find_item
from jobserver.service.forecasts import Forecasts, RequestForecast, forecast_items
from jobserver.service.writes.job_requests import Rerun
from jobserver.store.write.submission import WriteResult
from jobserver.web import http
from jobserver.web.api.common import Keys, require_person
from jobserver.web.api.fields import Fields
from jobserver.web.api.searches import Searches
from jobserver.web.polls import Polls
from jobserver.web.services import Services

REQUEST_FILTERS = ("backend", "limit", "offset", "q", "after")


@dataclass(frozen=True, slots=True)
class _ListAnswer:
    listing: Listing
    body: bytes
    etag: str


_ReadItem: TypeAlias = tuple[dict[str, Any], list[dict[str, Any]], Sequence[str]]


@dataclass(frozen=True, slots=True)
class _RequestReading:
    """``etag`` is of what is recorded: forecasts change with the time. ``moves``: `Polls.moves` before it was read."""

    item: _ReadItem
    etag: str
    moves: int


class JobRequestsApi:
    def __init__(self, services: Services, keys: Keys, polls: Polls, searches: Searches) -> None:
        self._index, self._requests, self._visible = services.index, services.requests, services.visible
        self._base_url, self._keys, self._polls = services.options.base_url, keys, polls
        self._searches, self._gate, self._studies = searches, services.gate, services.studies
        self._readings = services.readings
        self._forecasts = Forecasts(
            services.repo,
            lambda slug: services.index.directory().backends.get(slug),
            services.live.contacts,
            services.clock,
        )

    def index(self, actor: Actor) -> HTTPResponse:
        """Active requests, as runners list them. With ``q``, all requests that match it."""
        if "q" in request.query:
            if "offset" in request.query:
                raise invalid("a search has no offset: use `after`, from `next` of the page before", "offset")
            return self._searches.requests(actor)
        if "after" in request.query:
            raise invalid("only a search has it: give `q` too", "after")
        return self._list_active(actor)

    def _list_active(self, actor: Actor) -> HTTPResponse:
        slugs, _ = self._visible.chosen(actor)
        limit, offset = _number("limit"), _number("offset") or 0

        def read(listing: Listing) -> _ListAnswer:
            if limit is None and not offset:
                return _ListAnswer(listing, listing.body, listing.etag)
            body = self._part(listing, limit, offset)
            return _ListAnswer(listing, body, etag(body))

        def again(known: _ListAnswer, seconds: float) -> _ListAnswer:
            return read(self._index.wait(slugs, known.listing.etag, seconds))

        now, headers = self._polls.answer(actor, read(self._index.listing(slugs)), again)
        if http.unchanged(now.etag):
            return http.not_modified(now.etag, headers)
        return http.answer(now.body, headers={"ETag": now.etag, **headers})

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
        now, headers = self._polls.answer(
            actor, self._read(actor, identifier), partial(self._read_again, actor, identifier)
        )
        if http.unchanged(now.etag):
            return http.not_modified(f"W/{now.etag}", headers)
        item, jobs, cancelled_by = now.item
        item = {**detail(item, jobs), "cancelled_by": cancelled_by}
        forecast = RequestForecast({})
        if item["completed_at"] is None and not self._index.problem:
            with self._index.view() as sql:
                forecast = self._forecasts.of(sql, identifier, self._visible.slugs())
        of_request, of_jobs = forecast_items(forecast)
        jobs = [job | of_jobs.get(job["identifier"], {}) for job in item["jobs"]]
        return http.answer(item | of_request | {"jobs": jobs}, headers={"ETag": f"W/{now.etag}", **headers})

    def _read(self, actor: Actor, identifier: str) -> _RequestReading:
        moves = self._polls.moves()
        item = self._find(actor, identifier)
        return _RequestReading(item, etag(orjson.dumps(item)), moves)

    def _read_again(self, actor: Actor, identifier: str, known: _RequestReading, seconds: float) -> _RequestReading:
        self._polls.wait_for_move(known.moves, seconds)
        return self._read(actor, identifier)

    def _find(self, actor: Actor, identifier: str) -> _ReadItem:
        """The request, its jobs as they were last reported, and who cancelled actions of it.

        Raises `Error` (not_found), also if this server or this token does not show its backend.
        """
        item, jobs, cancelled_by = self._recorded(actor, identifier)
        return item, [job.as_item() for job in self._readings.newest(item["backend"], jobs)], cancelled_by

    def _recorded(self, actor: Actor, identifier: str) -> RequestItem:
        slugs = (actor.name,) if actor.kind is ActorKind.BACKEND else self._visible.slugs()
        with self._index.view() as sql:
            item = find_item(sql, identifier, slugs)
        if item is None and self._index.problem:
            # On a full disk, the rows may lag behind git, which has everything that was acknowledged.
            seen = self._requests.with_cancellers(self._requests.find(identifier))
            is_seen = self._index.directory().workspace(seen.stored.request.workspace.name) is not None
            if seen.stored.request.backend in slugs and (is_seen or not reader.is_limited()):
                jobs = [row_of_job(identifier, job) for job in seen.jobs]
                item = request_item(seen.stored.request), jobs, seen.cancelled_by
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
        note = fields.text("note", None)
        ref = fields.text("ref", None)
        fields.done()
        self._visible.require(backend)
        if self._index.directory().workspace(workspace) is None and reader.is_limited():
            raise not_found(f"Workspace {workspace[:100]} does not exist")
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
            note=note,
            ref=ref,
        )
        return self._created(written)

    def preview(self, actor: Actor, workspace: str) -> HTTPResponse:
        """What a request would run."""
        fields, _ = self._keys.fields(actor)
        actions = fields.texts("requested_actions", MAX_ACTIONS)
        backend, is_forced = fields.text("backend"), fields.flag("force_run_dependencies", False)
        ref = fields.text("ref", None)
        fields.done()
        self._visible.require(backend)
        document = self._index.directory().workspace(workspace)
        if document is None:
            raise not_found(f"Workspace {workspace[:100]} does not exist")
        study = self._studies.project(document.repo, document.branch, ref or "")
        check_actions(actions, study.pipeline.actions)
        with self._index.view() as sql:
            latest = latest_jobs(sql, workspace, [backend])
        selection = preview(actions, study.pipeline.actions, latest, bool(is_forced))
        return http.answer(
            {
                "sha": study.sha,
                "chosen": list(selection.chosen),
                "needed": list(selection.needed),
                "kept": list(selection.kept),
                "warnings": [str(fault)[:1000] for fault in study.pipeline.warnings],
            }
        )

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

    def mark_job_failed(self, actor: Actor, identifier: str, job: str) -> HTTPResponse:
        """For administrators, of a job that its runner lost."""
        fields, key = self._keys.fields(actor)
        fields.done()
        item, _, _ = self._find(actor, identifier)
        command = FailJob(job, identifier, item["backend"], self._readings.heard(item["backend"], identifier, job))
        written = self._gate.submit(actor, command, "http", key)
        item, jobs, _ = self._find(actor, identifier)
        return http.written(detail(item, jobs), written.commit)

    def retry(self, actor: Actor, identifier: str) -> HTTPResponse:
        """For administrators, of a request that its backend's controller refused or has lost."""
        fields, key = self._keys.fields(actor)
        fields.done()
        item, _, _ = self._find(actor, identifier)
        written = self._gate.submit(actor, RetryRequest(identifier, item["backend"]), "http", key)
        item, jobs, _ = self._find(actor, identifier)
        return http.written(detail(item, jobs), written.commit)

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
