"""Why a request or a job waits: one reason and one sentence, the same on pages, in the API and in the command line."""

from collections.abc import Collection, Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from functools import cached_property
from typing import Any, Protocol

from jobserver.domain.job_requests import lifecycle
from jobserver.domain.waiting import words
from jobserver.domain.waiting.backend_status import MAINTENANCE, PAUSED, BackendStatus

_NAMED = 2  # requests that a sentence names


class Reason(StrEnum):
    DEACTIVATED = "deactivated"
    REFUSED = "refused"
    NEVER_CONNECTED = "never-connected"
    OFFLINE = "offline"
    CONTROLLER = "controller"
    CANCELLING = "cancelling"
    ACTIONS = "actions"
    PAUSED = "paused"
    DATABASE_MAINTENANCE = "database-maintenance"
    WORKERS = "workers"
    QUEUE = "queue"
    RUNNER = "runner"


_FAULTS = frozenset({Reason.DEACTIVATED, Reason.REFUSED, Reason.NEVER_CONNECTED, Reason.OFFLINE, Reason.CONTROLLER})
# Nobody can say when these end.
_HOLDS = _FAULTS | {Reason.CANCELLING, Reason.PAUSED, Reason.DATABASE_MAINTENANCE}
_WORKERS = {"waiting_on_workers": "worker", "waiting_on_db_workers": "database worker"}


class QueuedRequest(Protocol):
    @property
    def identifier(self) -> str: ...
    @property
    def workspace(self) -> str: ...
    @property
    def actions(self) -> Sequence[str]: ...
    @property
    def created_by(self) -> str: ...


class PendingJob(Protocol):
    """``more``: what only some runners send, such as ``requires_db``."""

    @property
    def action(self) -> str: ...
    @property
    def status(self) -> str: ...
    @property
    def status_code(self) -> str: ...
    @property
    def more(self) -> Mapping[str, Any]: ...


@dataclass(frozen=True, slots=True)
class Phrase:
    """A part of a sentence. It may name a request (by id), an action, or a time whose distance ``text`` gives."""

    text: str
    request: str = ""
    action: str = ""
    moment: datetime | None = None


@dataclass(frozen=True, slots=True)
class Waiting:
    """``position`` in the queue of the backend, from 1; ``behind``: the first of those before it. ``waits_for``: the
    actions of the same request that a job waits for."""

    reason: Reason
    sentence: tuple[Phrase, ...]
    position: int = 0
    behind: Sequence[QueuedRequest] = ()
    waits_for: Sequence[str] = ()

    @property
    def text(self) -> str:
        return "".join(phrase.text for phrase in self.sentence)

    @property
    def gives_place(self) -> bool:
        """Whether the sentence says the place in the queue."""
        return self.reason in (Reason.QUEUE, Reason.RUNNER) or any(phrase.request for phrase in self.sentence)

    @property
    def is_held(self) -> bool:
        """Whether nothing starts until somebody does something, so that no start can be expected."""
        return self.reason in _HOLDS

    @property
    def needs_attention(self) -> bool:
        """Whether somebody has to mend something at the backend."""
        return self.reason in _FAULTS


@dataclass(frozen=True, kw_only=True)
class WaitingRequest:
    """What the answer depends on. ``needs``: action -> those that it needs. ``cancelled``: actions. ``ahead``: how many
    unfinished requests of the backend were requested earlier, and ``behind`` the first of them."""

    identifier: str
    jobs: Sequence[PendingJob]
    needs: Mapping[str, Sequence[str]]
    cancelled: Collection[str]
    backend: BackendStatus
    now: datetime
    ahead: int = 0
    behind: Sequence[QueuedRequest] = ()

    def explain(self) -> Waiting | None:
        """None if a job is running, or if all are finished."""
        left = [job for job in self.jobs if job.status not in lifecycle.FINISHED]
        if self.jobs and (not left or any(job.status != "pending" for job in left)):
            return None
        first = next((job for job in left if not self._unfinished_needs(job)), None)
        actions = [job.action for job in left] if left else self.needs
        waiting = self._of(first, bool(actions) and self._cancelled.issuperset(actions))
        return replace(waiting, position=self.ahead + 1, behind=self.behind)

    def explain_jobs(self) -> list[Waiting | None]:
        """Of each of the jobs; None if it does not wait. There may be thousands, and many wait for the same."""
        known: dict[Hashable, Waiting] = {}

        def answer(job: PendingJob) -> Waiting:
            is_cancelled = job.action in self._cancelled
            same = tuple(self._unfinished_needs(job)), is_cancelled, job.status_code, _needs_database(job)
            if same not in known:
                known[same] = self._of(job, is_cancelled)
            return known[same]

        return [answer(job) if job.status == "pending" else None for job in self.jobs]

    @cached_property
    def _cancelled(self) -> frozenset[str]:
        return frozenset(self.cancelled)

    def _unfinished_needs(self, job: PendingJob) -> list[str]:
        return [need for need in self.needs.get(job.action, ()) if need in self._unfinished]

    @cached_property
    def _unfinished(self) -> frozenset[str]:
        """Of the actions of the jobs: there may be thousands, and each may be needed by many."""
        statuses = {job.action: job.status for job in self.jobs}
        return frozenset(action for action, status in statuses.items() if status not in lifecycle.FINISHED)

    def _of(self, job: PendingJob | None, is_cancelled: bool) -> Waiting:
        """``job`` is None before the runner has created jobs."""
        unreachable = self._unreachable()
        if unreachable is not None:
            return unreachable
        if is_cancelled:
            return _say(
                Reason.CANCELLING, f"Cancellation requested. The runner of {self.backend.name} still has to stop it."
            )
        if job is not None and (needs := self._unfinished_needs(job)):
            return _waits_for(needs)
        return self._limited(job) or self._queued(job)

    def _unreachable(self) -> Waiting | None:
        backend = self.backend
        if not backend.is_active:
            return _say(Reason.DEACTIVATED, f"{backend.name} is deactivated. Nothing can run there.")
        if backend.refuses(self.identifier):
            reason = "because it does not trust the key that signed it"
            return _say(Reason.REFUSED, f"The runner of {backend.name} refuses this request {reason}.")
        if backend.problem is not None and not self.jobs:
            rest = "It goes on trying, and the request is not lost."
            return _say(Reason.CONTROLLER, f"The server can't have the controller of {backend.name} run it. {rest}")
        if backend.last_seen is None and not self.jobs:
            return _say(Reason.NEVER_CONNECTED, f"No runner of {backend.name} has ever connected.")
        if backend.is_late and backend.last_seen is not None:
            return _say(
                Reason.OFFLINE,
                f"{backend.name} is offline. Its runner was last seen ",
                self._length(backend.last_seen),
                " ago.",
            )
        return None

    def _limited(self, job: PendingJob | None) -> Waiting | None:
        """What the runner has said about itself, or about this job."""
        name, code = self.backend.name, job.status_code if job is not None else ""
        if (flag := self.backend.flag(PAUSED)) is not None or code == "paused":
            return self._since(Reason.PAUSED, "paused", flag.since if flag else None, "No new jobs will start.")
        flag = self.backend.flag(*MAINTENANCE)
        needs_database = job is None or _needs_database(job) or code == "waiting_db_maintenance"
        if needs_database and (flag is not None or code == "waiting_db_maintenance"):
            rest = "Jobs that need the database wait until it is over."
            since = flag.since if flag else None
            return self._since(Reason.DATABASE_MAINTENANCE, "in database maintenance", since, rest)
        if code in _WORKERS:
            place = (" ", *self._place("the queue"), ".") if self.ahead else ()
            return _say(Reason.WORKERS, f"Waiting for a free {_WORKERS[code]} on {name}.", *place)
        return None

    def _since(self, reason: Reason, state: str, since: datetime | None, rest: str) -> Waiting:
        name = self.backend.name
        if since is None or since > self.now:
            return _say(reason, f"{name} is {state}. {rest}")
        return _say(reason, f"{name} has been {state} for ", self._length(since), f". {rest}")

    def _queued(self, job: PendingJob | None) -> Waiting:
        if self.ahead:
            return _say(Reason.QUEUE, *self._place(f"the queue of {self.backend.name}"), ".")
        last_seen = self.backend.last_seen
        seen = (", whose runner was last seen ", self._length(last_seen), " ago") if last_seen is not None else ()
        return _say(
            Reason.RUNNER if job is None else Reason.QUEUE, f"Next in the queue of {self.backend.name}", *seen, "."
        )

    def _place(self, queue: str) -> list[str | Phrase]:
        """``Number 3 in the queue of TPP, behind model on trends and 1 more``"""
        named = self.behind[:_NAMED]
        parts: list[str | Phrase] = [f"Number {self.ahead + 1:,} in {queue}"]
        for index, request in enumerate(named):
            is_last = index > 0 and self.ahead == len(named)
            parts.append(", behind " if index == 0 else " and " if is_last else ", ")
            parts.append(Phrase(f"{words.names(request.actions)} on {request.workspace}", request=request.identifier))
        if self.ahead > len(named):
            parts.append(f" and {self.ahead - len(named):,} more" if named else "")
        return parts

    def _length(self, moment: datetime) -> Phrase:
        return Phrase(words.length(max((self.now - moment).total_seconds(), 0)), moment=moment)


def _needs_database(job: PendingJob) -> bool:
    return job.more.get("requires_db") is True


def _waits_for(needs: Sequence[str]) -> Waiting:
    parts: list[str | Phrase] = ["Waiting for "]
    shown = needs[:3] if len(needs) > 4 else needs
    for index, action in enumerate(shown):
        parts.append("" if index == 0 else " and " if index + 1 == len(needs) else ", ")
        parts.append(Phrase(action, action=action))
    more = len(needs) - len(shown)
    waiting = _say(Reason.ACTIONS, *parts, f" and {more:,} more." if more else ".")
    return replace(waiting, waits_for=tuple(needs))


def _say(reason: Reason, *parts: str | Phrase) -> Waiting:
    phrases = [part if isinstance(part, Phrase) else Phrase(part) for part in parts if part != ""]
    return Waiting(reason, tuple(phrases))
