"""Readings of jobs that run or wait, as runners last reported them: pages and the API show them at once. They are never
in git until `Recorder` writes them.

They are in memory, because a runner sends them at every poll. The servers of one private store exchange them there
every few seconds, which also lets them survive a restart. Servers elsewhere see what is recorded.
"""

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from jobserver.domain.base.state import Changes
from jobserver.domain.job_requests.jobs import Job
from jobserver.domain.job_requests.lifecycle import FINISHED
from jobserver.domain.job_requests.readings import RecordReadings, jobs_from_json, jobs_to_json
from jobserver.index.queries.jobs import JobRow, row_of_job
from jobserver.service.accounts.private_store import PrivateStore, Statement


@dataclass(frozen=True, slots=True)
class _Unrecorded:
    """Of one job request. ``since``: when the first of them was heard; ``heard_at``: the last."""

    since: datetime
    heard_at: datetime
    jobs: Mapping[str, Job]


class Readings:
    """Thread-safe."""

    def __init__(self, clock: Callable[[], datetime], private: PrivateStore | None = None) -> None:
        """Begins with what the private store has."""
        self._clock, self._private = clock, private
        self._guard = threading.Lock()
        self._unrecorded: dict[str, dict[str, _Unrecorded]] = {}  # backend -> job request -> its readings
        self._unkept: dict[tuple[str, str], datetime] = {}  # what the private store does not have yet
        self._on_change: list[Callable[[], None]] = []
        self.exchange()

    def on_change(self, callback: Callable[[], None]) -> None:
        """Calls ``callback`` when there are new readings. The callback must return at once."""
        self._on_change.append(callback)

    def hear(self, backend: str, report: Changes) -> None:
        """A runner's report, as it was decided on."""
        recorded = {value for key, value in report.trailers if key == "Job-Request"}
        readings: Mapping[str, Mapping[str, Job]] = report.result.get("readings", {})
        if not readings and not recorded.intersection(self._unrecorded.get(backend, ())):
            return
        now = self._clock()
        with self._guard:
            held = self._unrecorded.setdefault(backend, {})
            is_new = any(request not in held or held[request].jobs != jobs for request, jobs in readings.items())
            for request in recorded & held.keys():
                left = _left(held[request].jobs, report, request)
                if left:
                    held[request] = _Unrecorded(held[request].since, now, left)
                else:
                    del held[request]
            for request, jobs in readings.items():
                before = held.get(request)
                if before is not None:
                    jobs = {**before.jobs, **{name: _later(before.jobs.get(name), job) for name, job in jobs.items()}}
                held[request] = _Unrecorded(before.since if before is not None else now, now, jobs)
            self._unkept |= dict.fromkeys(((backend, request) for request in (*recorded, *readings)), now)
        if is_new:
            self._report_change()

    def newest(self, backend: str, rows: Sequence[JobRow]) -> list[JobRow]:
        """These jobs as they were last reported."""
        held = self._unrecorded.get(backend)
        return [_newer(row, held.get(row.request)) for row in rows] if held else list(rows)

    def heard(self, backend: str, request: str, job: str) -> Job | None:
        """A job with readings that are not recorded yet."""
        readings = self._unrecorded.get(backend, {}).get(request)
        return readings.jobs.get(job) if readings is not None else None

    def due(self, age: timedelta) -> list[RecordReadings]:
        """What to record: all readings of each backend of which one was heard so long ago."""
        limit = self._clock() - age
        with self._guard:
            return [
                RecordReadings(backend, {request: readings.jobs for request, readings in held.items()})
                for backend, held in self._unrecorded.items()
                if any(readings.since <= limit for readings in held.values())
            ]

    def forget(self, command: RecordReadings) -> None:
        """They are recorded, or never will be. Keeps those that were heard since."""
        with self._guard:
            held = self._unrecorded.get(command.backend, {})
            for request in command.jobs.keys() & held.keys():
                readings = held[request]
                self._unkept[command.backend, request] = readings.heard_at
                if readings.jobs is command.jobs[request]:
                    del held[request]
                else:
                    held[request] = _Unrecorded(readings.heard_at, readings.heard_at, readings.jobs)

    def exchange(self) -> None:
        """Writes what is new to the private store, and reads what other servers wrote. Raises `Error` (unavailable)."""
        if self._private is None:
            return
        with self._guard:
            unkept, self._unkept = self._unkept, {}
            held = {key: self._unrecorded.get(key[0], {}).get(key[1]) for key in unkept}
        try:
            if unkept:
                self._private.run_all(_kept(key, held[key], heard_at) for key, heard_at in unkept.items())
            self._read(self._private)
        except BaseException:
            with self._guard:
                self._unkept = unkept | self._unkept
            raise

    def _read(self, private: PrivateStore) -> None:
        is_new = False
        for row in private.run("SELECT backend, request, since, heard_at, jobs FROM readings"):
            backend, request, jobs = str(row[0]), str(row[1]), str(row[4])
            since, heard_at = (datetime.fromtimestamp(int(str(micros)) / 1e6, UTC) for micros in row[2:4])
            with self._guard:
                held = self._unrecorded.setdefault(backend, {})
                is_newer = request not in held or held[request].heard_at < heard_at
                if is_newer and (backend, request) not in self._unkept:
                    held[request], is_new = _Unrecorded(since, heard_at, jobs_from_json(jobs)), True
        if is_new:
            self._report_change()

    def _report_change(self) -> None:
        for callback in self._on_change:
            callback()


def _left(held: Mapping[str, Job], report: Changes, request: str) -> dict[str, Job]:
    """The readings of a request that are newer than what this report of events recorded of it."""
    if any(move.place.identifier == request for move in report.moves):
        return {}  # it has finished, or began again
    taken = {job.identifier: after for before, after in _of_jobs(report) if (job := after or before) is not None}
    return {
        name: job
        for name, job in held.items()
        if name not in taken or ((after := taken[name]) is not None and _later(job, after) is not after)
    }


def _of_jobs(report: Changes) -> list[tuple[Job | None, Job | None]]:
    return [change.of(Job) for change in report.changes]


def _later(held: Job | None, job: Job) -> Job:
    """The one that is newer; ``job`` if both are as new."""
    if held is None or held.updated_at is None or job.updated_at is None or held.updated_at <= job.updated_at:
        return job
    return held


def _micros(moment: datetime) -> int:
    return round(moment.timestamp() * 1e6)


def _kept(key: tuple[str, str], readings: _Unrecorded | None, heard_at: datetime) -> Statement:
    """What puts these readings into the private store, or removes them, unless another server heard newer ones."""
    if readings is None:
        return "DELETE FROM readings WHERE backend=? AND request=? AND heard_at <= ?", (*key, _micros(heard_at))
    values = (*key, _micros(readings.since), _micros(readings.heard_at), jobs_to_json(readings.jobs))
    return (
        "INSERT INTO readings VALUES (?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET since = excluded.since,"
        " heard_at = excluded.heard_at, jobs = excluded.jobs WHERE excluded.heard_at >= readings.heard_at",
        values,
    )


def _newer(row: JobRow, readings: _Unrecorded | None) -> JobRow:
    """The job with its readings, unless something newer is recorded."""
    job = readings.jobs.get(row.identifier) if readings is not None else None
    if job is None or row.status in FINISHED:
        return row
    heard = row_of_job(row.request, job)
    is_later = row.updated_at is None or heard.updated_at is None or heard.updated_at >= row.updated_at
    return heard if is_later and _state(heard) == _state(row) else row


def _state(row: JobRow) -> tuple[object, ...]:
    """What no reading changes."""
    return row.action, row.status, row.status_code, row.created_at, row.started_at, row.completed_at
