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
from jobserver.service.rap.client import ControllerClient, ControllerFailure
from jobserver.service.rap.lease import Lease
from jobserver.service.rap.record import RapRecord, RequestedRap

_log = logging.getLogger(__name__)
_BACKENDS_SECONDS = 15.0  # between two questions about the backends themselves
_CANCEL_AGAIN_SECONDS = 600.0  # a controller may have been restored from a backup
_WAIT_FOR_LEASE = 2.0


@dataclass(slots=True)
class _Memory:
    """What this process knows of an active request. ``reported``: digest of the jobs that the record has taken.

    ``sent``: actions whose cancellation the controller has, until ``sent_until``. ``refusal``: the controller's answer
    to its creation, until a status confirms that it does not know the request. ``wait_until``: no creation before,
    because it is unknown what came of the last one."""

    reported: bytes = b""
    sent: frozenset[str] = frozenset()
    sent_until: float = 0.0
    refusal: str = ""
    wait_until: float = 0.0
    waited: float = 0.0


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

    def step(self) -> float:
        """One pass. Returns the seconds until the next one."""
        if not self._lease.is_held():
            return _WAIT_FOR_LEASE
        if (wait := self._retry_at - monotonic()) > 0:
            return wait
        now = _Pass()
        try:
            self._run(now)
        except ControllerFailure as error:
            self._pause = next_pause(self._pause, is_news=False, shortest=self._shortest)
            self._retry_at = monotonic() + self._pause
            for slug in self.slugs:
                self._live.record_problem(slug, f"The controller does not work: {error.message}.")
            _log.warning("the controller of %s: %s; trying again in %.0f s", some(self.slugs), error, self._pause)
            return self._pause
        for slug in self.slugs:
            self._live.record_problem(slug, " ".join(now.problems.get(slug, ())))
        if now.has_news and not now.is_incomplete:
            self._pause = self._shortest
            return 0.05  # what was created has jobs now, and what was refused is to be confirmed
        self._pause = next_pause(self._pause, now.has_news, self._shortest)
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
            memory.refusal, memory.wait_until = "", 0.0
            digest = _digest(jobs)
            if digest == memory.reported:
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
        for requested in (now.asked[identifier] for identifier in steps.end):
            self._record.cancel(requested, self._clock())
            now.has_news = True
        for identifier, actions in steps.cancel.items():
            if not self._lease.is_held():
                return
            answer = self._client.cancel(identifier, actions)
            if isinstance(answer, RapRefusal):
                steps.wrong[identifier] = f"it does not cancel {some(actions)}: {answer.text}"
                continue
            memory = self._memory[identifier]
            memory.sent |= frozenset(actions)
            memory.sent_until = monotonic() + _CANCEL_AGAIN_SECONDS
            now.has_news = True

    def _create(self, now: _Pass, steps: RapSteps) -> None:
        for identifier in steps.create:
            memory, requested = self._memory[identifier], now.asked[identifier]
            if memory.refusal:
                self._record.refuse(requested, memory.refusal, self._clock())
                now.has_news = True
                continue
            is_due = monotonic() >= memory.wait_until and self._lease.is_held()
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
            if failure.seconds is None:
                raise
            memory.waited = max(failure.seconds, min(2 * memory.waited, _CANCEL_AGAIN_SECONDS))
            memory.wait_until = monotonic() + memory.waited
            identifier = requested.active.identifier
            now.add(requested.active.backend, f"The controller has not said whether it created {identifier}.")
            now.is_incomplete = True
            return False
        now.has_news = True
        if isinstance(answer, RapRefusal):
            memory.refusal = f"The controller refused it: {answer.text}"
        elif answer.result == NOTHING_TO_DO:
            self._record.nothing_to_do(requested, answer.details, self._clock())
        return True

    def _name_problems(self, now: _Pass, steps: RapSteps) -> None:
        lost: dict[str, list[str]] = {}
        for identifier in steps.lost:
            lost.setdefault(now.asked[identifier].active.backend, []).append(identifier)
        for slug, identifiers in lost.items():
            now.add(slug, f"The controller no longer knows {some(identifiers)}: see `jobserver rap retry`.")
        for identifier, why in steps.wrong.items():
            now.add(now.asked[identifier].active.backend, f"What the controller says of {identifier} is wrong: {why}.")
        for slug, texts in now.problems.items():
            if len(texts) > 5:
                now.problems[slug] = [*texts[:5], f"And {len(texts) - 5} more problems."]


def _digest(jobs: Sequence[Mapping[str, Any]]) -> bytes:
    """Of any JSON, also of numbers that no writer of JSON would take."""
    return hashlib.blake2b(repr(jobs).encode(errors="replace"), digest_size=16).digest()
