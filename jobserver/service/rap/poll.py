"""Asks one controller again and again about all active requests of its backends, and does what is left to do.

The order is that of the record: a request's commit comes first, then the call. Nothing else is kept: what the
controller has is what it says, and what this process remembers only saves calls.
"""

import hashlib
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from time import monotonic
from typing import Any

from jobserver.domain.rap.answers import NOTHING_TO_DO, RapRefusal
from jobserver.domain.rap.reconcile import RapSteps, next_pause, reconcile
from jobserver.errors import Code, Error, some
from jobserver.service.presence import Presence
from jobserver.service.rap.client import UNKNOWN_SECONDS, ControllerClient, ControllerFailure
from jobserver.service.rap.lease import Lease
from jobserver.service.rap.record import RapRecord, RequestedRap

_log = logging.getLogger(__name__)
_BACKENDS_SECONDS = 15.0  # between two questions about the backends themselves
_CANCEL_AGAIN_SECONDS = 600.0  # a controller may have been restored from a backup
_AGAIN_SECONDS = 2.0  # before a call about one request is made again; then longer
_LONGEST_SECONDS = 600.0
_WAIT_FOR_LEASE = 2.0


@dataclass(slots=True)
class _Wait:
    """Before a call is made again. ``problem``: why the last one failed."""

    until: float = 0.0
    seconds: float = 0.0
    problem: str = ""

    def begin(self, shortest: float, problem: str = "") -> None:
        """Longer each time."""
        self.seconds = max(shortest, min(2 * self.seconds, _LONGEST_SECONDS))
        self.until, self.problem = monotonic() + self.seconds, problem

    @property
    def is_over(self) -> bool:
        return monotonic() >= self.until


@dataclass(slots=True)
class _Memory:
    """What this process knows of an active request. ``reported``: digest of the jobs that the record has taken.

    ``sent``: actions whose cancellation the controller has, until ``sent_until``. ``refusal``: the controller's answer
    to its creation, until a status confirms that it does not know the request. ``creation``: meanwhile the controller
    may be at work on the last one, so the request is neither created nor ended. ``cancellation``: the same for it."""

    reported: bytes = b""
    sent: frozenset[str] = frozenset()
    sent_until: float = 0.0
    refusal: str = ""
    creation: _Wait = field(default_factory=_Wait)
    cancellation: _Wait = field(default_factory=_Wait)


@dataclass(slots=True)
class _Pass:
    """One question and what follows from it. ``problems``: backend -> what is wrong."""

    asked: Mapping[str, RequestedRap] = field(default_factory=dict)
    problems: dict[str, list[str]] = field(default_factory=dict)
    has_news: bool = False
    is_incomplete: bool = False

    def add(self, slug: str, problem: str) -> None:
        self.problems.setdefault(slug, []).append(problem)


class ControllerPoll:
    """Of one thread. ``slugs``: the backends of the controller, which may change."""

    def __init__(
        self,
        client: ControllerClient,
        record: RapRecord,
        live: Presence,
        lease: Lease,
        clock: Callable[[], datetime],
        shortest: float = 2.0,
    ) -> None:
        self._client, self._record, self._live, self._lease, self._clock = client, record, live, lease, clock
        self._shortest = self._pause = shortest
        self.slugs: Sequence[str] = ()
        self.state = ""  # of the record, as the last pass saw it
        self._memory: dict[str, _Memory] = {}
        self._known: frozenset[str] = frozenset()  # backends that the controller has named
        self._backends_at = -_BACKENDS_SECONDS
        self._retry_at = 0.0  # after a failure, whatever changes in the record meanwhile
        self._settled_at = 0.0  # what another process sent before this one had the lease has come about by then

    def step(self) -> float:
        """One pass. Returns the seconds until the next one."""
        if not self._lease.is_held():
            self._settled_at = 0.0
            return _WAIT_FOR_LEASE
        self._settled_at = self._settled_at or monotonic() + UNKNOWN_SECONDS
        if (wait := self._retry_at - monotonic()) > 0:
            return wait
        now = _Pass()
        try:
            self._run(now)
        except ControllerFailure as error:
            _log.warning("the controller of %s: %s", some(self.slugs), error)
            return self._fail(f"The controller does not work: {error.message}.")
        except (Error, OSError) as error:
            _log.warning("the controller of %s: %s", some(self.slugs), error)
            return self._fail(f"The server can't record what the controller says: {error}.")
        except Exception as error:  # noqa: BLE001 - a bug, or an answer that nobody thought of: people must see it
            _log.exception("the controller of %s", some(self.slugs))
            return self._fail(f"The server can't use what the controller says ({type(error).__name__}): see its log.")
        for slug in self.slugs:
            self._live.record_problem(slug, " ".join(now.problems.get(slug, ())))
        if now.has_news and not now.is_incomplete:
            self._pause = self._shortest
            return 0.05  # what was created has jobs now, and what was refused is to be confirmed
        self._pause = next_pause(self._pause, now.has_news, self._shortest)
        return self._pause

    def _fail(self, problem: str) -> float:
        """Seconds until the next pass."""
        self._pause = next_pause(self._pause, is_news=False, shortest=self._shortest)
        self._retry_at = monotonic() + self._pause
        for slug in self.slugs:
            self._live.record_problem(slug, problem)
        return self._pause

    def _run(self, now: _Pass) -> None:
        self.state = self._record.state(self.slugs)
        self._ask_about_backends()
        for slug in self.slugs:
            if slug not in self._known:
                now.add(slug, "The controller does not know this backend, or not with this token.")
        active = self._record.active([slug for slug in self.slugs if slug in self._known])
        now.asked = {requested.active.identifier: requested for requested in active}
        self._memory = {identifier: self._memory.get(identifier) or _Memory() for identifier in now.asked}
        if not active:
            return
        status = self._client.status(list(now.asked))
        for memory in self._memory.values():
            if monotonic() >= memory.sent_until:
                memory.sent = frozenset()
        sent = {identifier: memory.sent for identifier, memory in self._memory.items()}
        steps = reconcile([requested.active for requested in active], status, sent)
        self._report(now, steps)
        self._cancel(now, steps)
        self._create(now, steps)
        self._name_problems(now, steps)

    def _ask_about_backends(self) -> None:
        if monotonic() - self._backends_at < _BACKENDS_SECONDS and self._known.issuperset(self.slugs):
            return
        backends = self._client.backends()
        self._known = frozenset(backend.slug for backend in backends)
        self._backends_at = monotonic()
        for backend in backends:
            if backend.slug in self.slugs:
                self._live.record_status(backend.slug, backend.last_seen, backend.flags())

    def _report(self, now: _Pass, steps: RapSteps) -> None:
        for identifier, jobs in steps.report.items():
            memory = self._memory[identifier]
            memory.refusal, memory.creation = "", _Wait()
            digest = _digest(jobs)
            if digest == memory.reported and now.asked[identifier].active.has_jobs:  # `rap retry` removes them
                continue
            try:
                if self._record.report(now.asked[identifier].active, jobs):
                    now.has_news = True
            except Error as error:
                if error.code is not Code.INVALID:
                    raise  # the record can't be written now: ask again later
                steps.wrong[identifier] = str(error)
                continue
            memory.reported = digest

    def _cancel(self, now: _Pass, steps: RapSteps) -> None:
        for identifier in steps.end:
            if monotonic() >= self._settled_at and self._memory[identifier].creation.is_over:
                self._record.cancel(now.asked[identifier], self._clock())
                now.has_news = True
        for identifier, actions in steps.cancel.items():
            if not self._lease.is_held():
                return
            if self._memory[identifier].cancellation.is_over and not self._cancel_one(now, steps, identifier, actions):
                return

    def _cancel_one(self, now: _Pass, steps: RapSteps, identifier: str, actions: Sequence[str]) -> bool:
        """Whether others can be cancelled in this pass too."""
        memory = self._memory[identifier]
        try:
            answer = self._client.cancel(identifier, actions)
        except ControllerFailure as failure:
            goes_on = _goes_on(now, failure)
            problem = f"The controller has not cancelled jobs of {identifier}: {failure.message}."
            memory.cancellation.begin(_AGAIN_SECONDS, problem)
            return goes_on
        memory.cancellation = _Wait()
        if isinstance(answer, RapRefusal):
            steps.wrong[identifier] = f"it does not cancel {some(actions)}: {answer.text}"
            return True
        memory.sent |= frozenset(actions)
        memory.sent_until = monotonic() + _CANCEL_AGAIN_SECONDS
        now.has_news = True
        return True

    def _create(self, now: _Pass, steps: RapSteps) -> None:
        for identifier in steps.create:
            memory, requested = self._memory[identifier], now.asked[identifier]
            if memory.refusal:
                self._record.refuse(requested, memory.refusal, self._clock())
                now.has_news = True
                continue
            is_due = memory.creation.is_over and self._lease.is_held()
            if is_due and not self._create_one(now, requested, memory):
                return

    def _create_one(self, now: _Pass, requested: RequestedRap, memory: _Memory) -> bool:
        """Whether others can be created in this pass too."""
        body = self._record.creation(requested)
        if body is None:
            return False
        try:
            answer = self._client.create(body)
        except ControllerFailure as failure:
            goes_on = _goes_on(now, failure)
            fault = "does not create" if failure.seconds is None else "has not said whether it created"
            problem = f"The controller {fault} {requested.active.identifier}: {failure.message}."
            memory.creation.begin(_AGAIN_SECONDS if failure.seconds is None else failure.seconds, problem)
            return goes_on
        now.has_news = True
        if isinstance(answer, RapRefusal):
            memory.refusal = f"The controller refused it: {answer.text}"
        elif answer.result == NOTHING_TO_DO:
            self._record.nothing_to_do(requested, answer.details, self._clock())
        else:
            memory.creation.begin(_AGAIN_SECONDS)  # the next status has the jobs
        return True

    def _name_problems(self, now: _Pass, steps: RapSteps) -> None:
        lost: dict[str, list[str]] = {}
        for identifier in steps.lost:
            lost.setdefault(now.asked[identifier].active.backend, []).append(identifier)
        for slug, identifiers in lost.items():
            now.add(slug, f"The controller no longer knows {some(identifiers)}: see `jobserver rap retry`.")
        for identifier, why in steps.wrong.items():
            now.add(now.asked[identifier].active.backend, f"What the controller says of {identifier} is wrong: {why}.")
        waits = [(identifier, self._memory[identifier].creation) for identifier in (*steps.create, *steps.end)]
        waits += [(identifier, self._memory[identifier].cancellation) for identifier in steps.cancel]
        for identifier, wait in waits:
            if wait.problem:
                now.add(now.asked[identifier].active.backend, wait.problem)
        for slug, texts in now.problems.items():
            if len(texts) > 5:
                now.problems[slug] = [*texts[:5], f"And {len(texts) - 5} more problems."]


def _goes_on(now: _Pass, failure: ControllerFailure) -> bool:
    """Whether this pass makes the same call for other requests: what fails for one may work for them. Raises
    ``failure`` if it can't."""
    if failure.is_general:
        raise failure
    now.is_incomplete = True
    return not failure.is_late


def _digest(jobs: Sequence[Mapping[str, Any]]) -> bytes:
    """Of any JSON, also of numbers that no writer of JSON would take."""
    return hashlib.blake2b(repr(jobs).encode(errors="replace"), digest_size=16).digest()
