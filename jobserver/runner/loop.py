"""The runner's loop: one thread decides and writes the state; others fetch, check out and run jobs, and send it events.

Every change is on disk before the runner acts on it or reports it, so the runner can be killed at any point. A request
is removed once the server has accepted its end and no longer lists it.
"""

import logging
import queue
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from jobserver.errors import Error, unavailable
from jobserver.runner import plan
from jobserver.runner.config import RunnerConfig
from jobserver.runner.execute import Executor, Limits, Outcome, Task
from jobserver.runner.fetch import Fetcher, FetchFailed, RequestsListed, new_backoff
from jobserver.runner.model import RunnerJob, RunnerRequest
from jobserver.runner.process import kill_marked
from jobserver.runner.report import Reporter
from jobserver.runner.state import RequestRecord, StateFolder
from jobserver.runner.study import StudyCheckouts
from jobserver.runner.tasks import JobEnded, RequestPlanned, TaskRunner
from jobserver.runner.transport.base import Transport

_CHECKOUTS = 2  # at a time
_POLL = 0.5  # seconds between checks of `stop`
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class RunSummary:
    """How many jobs ended in this run, and whether the server has accepted all reports.

    ``refused``: how many requests were not run at the end, because no key of the server signed them.
    """

    succeeded: int = 0
    failed: int = 0
    all_reported: bool = True
    refused: int = 0


Event = RequestsListed | FetchFailed | RequestPlanned | JobEnded


def run(config: RunnerConfig, transport: Transport | None = None, stop: threading.Event | None = None) -> RunSummary:
    """Runs until ``stop`` is set, or, with ``config.once``, until all requests have run.

    Raises `Error`: conflict if another runner uses the same folder, unauthenticated or forbidden if the server refuses
    the token at the start, unavailable for an error of the disk or, with ``once``, if the server never answered.
    """
    return Runner(config, transport, stop).run()


def _utc_now() -> datetime:
    return datetime.now(UTC)


def _transport(config: RunnerConfig, now: Callable[[], datetime]) -> Transport:
    if config.transport == "git":  # each is imported where it is needed: both together take a third of the start
        from jobserver.runner.transport.git import GitTransport

        return GitTransport(config.url, config.token, config.backend, config.root, now, config.signer, config.interval)
    from jobserver.runner.transport.http import HttpTransport

    return HttpTransport(config.url, config.token, now)


class Runner:
    """One run of the runner. ``now`` returns the time for jobs."""

    def __init__(
        self,
        config: RunnerConfig,
        transport: Transport | None = None,
        stop: threading.Event | None = None,
        now: Callable[[], datetime] = _utc_now,
    ) -> None:
        self.config = config
        self.now = now
        self.stop = stop or threading.Event()
        self.state = StateFolder(config.root)
        self.transport = transport or _transport(config, now)
        limits = Limits(config.job_timeout, config.kill_grace, config.log_limit)
        self.executor = Executor(config.root, self.state, limits)
        self.reporter = Reporter(self.transport, new_backoff(config), config.longest_pause)
        self.events: queue.SimpleQueue[Event] = queue.SimpleQueue()
        self.records: dict[str, RequestRecord] = {}
        self.expanding: set[str] = set()
        self.running: dict[str, threading.Event] = {}  # job id -> ends it
        self.halt = threading.Event()  # ends the work of all other threads
        checkouts = StudyCheckouts(config.study_repos, config.root.resolve() / "work", config.checkout_timeout)
        self.tasks = TaskRunner(checkouts, self.executor, now, self.events.put, self.halt)
        self.done = {"succeeded": 0, "failed": 0}

    def run(self) -> RunSummary:
        _log.warning(
            "runner for backend %s: not a sandbox, it runs the commands of studies as this user",
            self.config.backend,
        )
        fetcher = Fetcher(self.transport, self.config, self.events.put, self.halt)
        try:
            with self.state.locked():
                self._recover()
                with (
                    ThreadPoolExecutor(_CHECKOUTS, "checkout") as self._checkouts,
                    ThreadPoolExecutor(self.config.max_jobs, "job") as self._workers,
                ):
                    try:
                        if self.config.once:
                            if (listed := fetcher.first(self.stop)) is None:
                                raise unavailable("the runner was stopped before the server answered")
                            self._handle(listed)
                        else:
                            fetcher.start()
                        self._loop()
                    finally:
                        self._wind_down()
                        fetcher.close()
        finally:
            self.transport.close()
        return RunSummary(**self.done, all_reported=not self._unreported(), refused=len(self.transport.refused))

    def _loop(self) -> None:
        while not self.stop.is_set():
            self._advance()
            self.reporter.send(self._unreported(), self._accept)
            if self.config.once and self._idle():
                return
            for event in self._wait(min(_POLL, self.reporter.pause())):
                self._handle(event)

    def _idle(self) -> bool:
        """Whether all jobs have finished, and are reported or likely never to be."""
        if not all(record.finished for record in self.records.values()):
            return False
        return not self._unreported() or self.reporter.failures >= self.config.attempts

    def _wait(self, seconds: float) -> Iterator[Event]:
        """The events that have arrived. Waits for the first one."""
        try:
            yield self.events.get(timeout=seconds)
            while True:
                yield self.events.get_nowait()
        except queue.Empty:
            return

    # Events

    def _handle(self, event: Event) -> None:
        match event:
            case FetchFailed(error):
                raise error
            case RequestsListed(items):
                self._listed(items)
            case RequestPlanned(identifier, planned):
                self.expanding.discard(identifier)
                record = self.records[identifier]
                self._save(replace(record, actions=planned.actions).with_jobs(planned.jobs))
            case JobEnded(identifier, job, outcome):
                del self.running[job.identifier]
                self._ended(self.records[identifier], job, outcome)

    def _listed(self, items: list[Any]) -> None:
        listed = set()
        for item in items:
            try:
                request = RunnerRequest.from_item(item)
            except Error as error:
                _log.error("ignoring a job request: %s", error)
                continue
            if request.backend != self.config.backend:
                _log.error("ignoring job request %s: it is for backend %s", request.identifier, request.backend)
                continue
            listed.add(request.identifier)
            self._add(request)
        for identifier, record in list(self.records.items()):
            if identifier not in listed and record.finished and record.accepted:
                self.state.forget(identifier)
                self.executor.forget(identifier)
                del self.records[identifier]

    def _add(self, request: RunnerRequest) -> None:
        record = self.records.get(request.identifier)
        if record is None:
            _log.info("job request %s: %s", request.identifier, ", ".join(request.requested_actions))
            self._save(RequestRecord(request))
        elif request.cancelled_actions != record.request.cancelled_actions:
            # No other field of a request ever changes.
            self._save(replace(record, request=replace(record.request, cancelled_actions=request.cancelled_actions)))
        elif record.finished and record.accepted:
            self._save(replace(record, accepted=False))  # the server does not have the jobs after all

    def _ended(self, record: RequestRecord, job: RunnerJob, outcome: Outcome) -> None:
        state = (outcome.status, outcome.code, outcome.message)
        if outcome.stopped:
            state = plan.REBOOTED if self.halt.is_set() else plan.CANCELLED
        ended = job.moved(*state, self.now())
        _log.info("job %s (%s): %s, %s", ended.identifier, ended.action, ended.status, ended.status_message)
        self._save(record.with_job(ended))

    # Decisions

    def _advance(self) -> None:
        for record in list(self.records.values()):
            if not record.jobs:
                self._expand(record)
                continue
            settled = plan.settle(record.jobs, record.needs(), record.request, self.now())
            self._save(record.with_jobs(settled))
            for job in plan.to_kill(settled, record.request):
                self.running[job.identifier].set()
        for record in list(self.records.values()):
            for job in plan.ready(record.jobs):
                if len(self.running) < self.config.max_jobs and not self._is_busy(record.request.workspace, job.action):
                    self._start(self.records[record.request.identifier], job)

    def _is_busy(self, workspace: str, action: str) -> bool:
        """Whether the action runs in the workspace for another request. Their outputs would mix."""
        return any(
            job.action == action and job.status == "running"
            for record in self.records.values()
            if record.request.workspace == workspace
            for job in record.jobs
        )

    def _start(self, record: RequestRecord, job: RunnerJob) -> None:
        started = job.moved("running", "executing", "Executing", self.now())
        self._save(record.with_job(started))
        stop = threading.Event()
        self.running[job.identifier] = stop
        request = record.request
        action = record.actions[job.action]
        task = Task(request.identifier, job.identifier, request.workspace, request.sha, job.action, action)
        self._workers.submit(self.tasks.run, request, started, task, stop)

    def _expand(self, record: RequestRecord) -> None:
        identifier = record.request.identifier
        if identifier not in self.expanding:
            self.expanding.add(identifier)
            self._checkouts.submit(self.tasks.expand, record.request)

    # State

    def _save(self, record: RequestRecord) -> None:
        old = self.records.get(record.request.identifier)
        if record == old:
            return
        self.state.save(record)
        self.records[record.request.identifier] = record
        before = {job.identifier for job in old.jobs if job.finished} if old else set()
        for job in record.jobs:
            if job.finished and job.identifier not in before:
                self.done[job.status] += 1

    def _unreported(self) -> list[RequestRecord]:
        return [record for record in self.records.values() if record.jobs and not record.accepted]

    def _accept(self, record: RequestRecord) -> None:
        self._save(replace(record, accepted=True))

    # Start and stop

    def _recover(self) -> None:
        """Ends the processes that a killed runner left, so that no job runs twice at the same time."""
        self.records = self.state.load()
        for record in list(self.records.values()):
            kill_marked(f"{record.request.identifier}.checkout")
            for job in record.jobs:
                if job.status == "running" and (killed := kill_marked(job.identifier)):
                    _log.warning("job %s: killed %d processes that an earlier run left", job.identifier, killed)
            self._save(record.with_jobs(plan.rebooted(record.jobs, self.now())))

    def _wind_down(self) -> None:
        """Stops the running jobs, which will run again. Tries once to report them; otherwise the next start does."""
        self.halt.set()
        for stop in self.running.values():
            stop.set()
        self._workers.shutdown()
        self._checkouts.shutdown()
        for event in self._wait(0):
            if isinstance(event, JobEnded | RequestPlanned):
                self._handle(event)
        if not self.config.once:
            self.reporter.send(self._unreported(), self._accept, last=True)
