"""The last contact with each backend: when it was, the flags that its runner sent, whether the runner's clock is wrong,
whether another runner uses its token. Also when tokens were last used. None of it is in git.

It is in memory, because every call of a runner updates it, and is written to the private store now and then, so that
it survives a restart and other servers see it.
"""

import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson

from jobserver.domain.base.values import timestamp
from jobserver.domain.waiting.backend_status import MAINTENANCE, BackendContact
from jobserver.errors import Error
from jobserver.service.accounts.private_store import PrivateStore

_log = logging.getLogger(__name__)
_MAX_FLAGS = 16 * 1024
_WRITE_EVERY = timedelta(seconds=20)
_USE_SECONDS = 60
_MODE = MAINTENANCE[0]
STRIP_DAYS = 30


class Presence:
    """Thread-safe."""

    def __init__(self, clock: Callable[[], datetime], private: PrivateStore | None = None) -> None:
        self._clock, self._private = clock, private
        self._guard = threading.Lock()
        self._seen: dict[str, BackendContact] = {}
        self._written: dict[str, datetime] = {}
        self._used: dict[str, int] = {}
        if private is not None:
            for backend, (seen_at, flags) in private.last_heard().items():
                self._seen[backend] = BackendContact(datetime.fromtimestamp(seen_at, UTC), _checked(flags) or {})

    def record_call(self, backend: str, flags: str | None, mode: str | None = None) -> None:
        """A call of this backend's runner, with its Flags header. Flags that can't be read are logged and ignored.

        ``mode``: the header Current-Mode of runners of 2022, which send no Flags.
        """
        now = self._clock()

        def updated(known: Mapping[str, Any]) -> Mapping[str, Any]:
            if flags is not None:
                return _flags(backend, flags, known)
            return known if mode is None else _mode(mode, known, now)

        self._record(backend, now, updated)

    def record_status(self, backend: str, seen_at: datetime | None, flags: Mapping[str, Any]) -> None:
        """What the backend's controller says of it. ``flags``: as `BackendContact` has them."""
        if seen_at is not None:
            self._record(backend, min(seen_at.astimezone(UTC), self._clock()), lambda known: flags)
            return
        with self._guard:
            known = self._seen.get(backend) or BackendContact(None)
            self._seen[backend] = replace(known, flags=flags)

    def record_problem(self, backend: str, problem: str) -> None:
        """What is wrong with the backend's controller; empty if nothing is."""
        with self._guard:
            known = self._seen.get(backend) or BackendContact(None)
            if problem:
                since = known.problem[1] if known.problem is not None else self._clock()
                self._seen[backend] = replace(known, problem=(problem, since))
            else:
                self._seen[backend] = replace(known, problem=None)

    def problems(self) -> list[str]:
        """What is wrong with controllers, for /health-check/."""
        problems = [(slug, contact.problem) for slug, contact in sorted(self.contacts().items())]
        return [f"{slug}: {known[0]} (since {known[1]:%Y-%m-%d %H:%M} UTC)" for slug, known in problems if known]

    def _record(self, backend: str, now: datetime, flags: Callable[[Mapping[str, Any]], Mapping[str, Any]]) -> None:
        with self._guard:
            known = self._seen.get(backend)
            seen = replace(known, last_seen=now) if known else BackendContact(now)
            seen = replace(seen, flags=flags(seen.flags))
            self._seen[backend] = seen
            is_due = now - self._written.get(backend, datetime.min.replace(tzinfo=UTC)) >= _WRITE_EVERY
            is_due = is_due or (known is not None and known.flags != seen.flags and _switches(known) != _switches(seen))
            if is_due:
                self._written[backend] = now
        if is_due:
            kept = orjson.dumps(dict(seen.flags)).decode()
            self._keep(lambda private: private.heard(backend, int(now.timestamp()), kept))

    def record_report(self, backend: str, ahead: timedelta, twice: Sequence[str]) -> None:
        """A report: how far its times are in the future, and the job requests that another runner works on too."""
        now = self._clock()
        with self._guard:
            known = self._seen.get(backend) or BackendContact(now)
            overlap = (twice[0], now) if twice else known.twice
            if twice and (known.twice is None or known.twice[0] != twice[0]):
                _log.warning("two runners use the token of backend %s: both ran jobs of %s", backend, twice[0])
            self._seen[backend] = replace(known, ahead=ahead, twice=overlap)

    def record_token_use(self, sha256: str) -> None:
        """A person's token was used. The time is exact to a minute; a failure to store it never refuses a call."""
        now = int(self._clock().timestamp())
        with self._guard:
            if now - self._used.get(sha256, 0) < _USE_SECONDS:
                return
            self._used[sha256] = now
        self._keep(lambda private: private.used_token(sha256, now))

    def _keep(self, write: Callable[[PrivateStore], None]) -> None:
        if self._private is not None:
            try:
                write(self._private)
            except Error as error:
                _log.warning("%s", error)

    def contacts(self) -> dict[str, BackendContact]:
        with self._guard:
            return dict(self._seen)

    def hours_by_day(self, backend: str) -> list[tuple[datetime, int]]:
        """For each of the last 30 days, oldest first: the day, and in how many of its hours the backend called."""
        today = self._clock().replace(hour=0, minute=0, second=0, microsecond=0)
        first = today - timedelta(days=STRIP_DAYS - 1)
        hours = self._private.hours_heard(backend, int(first.timestamp())) if self._private else set()
        days = [first + timedelta(days=number) for number in range(STRIP_DAYS)]
        return [(day, sum(int(day.timestamp()) // 3600 + hour in hours for hour in range(24))) for day in days]


def _switches(seen: BackendContact) -> dict[str, Any]:
    return {key: flag["v"] for key, flag in seen.flags.items() if key != "last-seen-at"}


def _flags(backend: str, header: str, known: Mapping[str, Any]) -> Mapping[str, Any]:
    flags = _checked(header.encode("latin-1", "replace"))
    if flags is not None:
        return flags
    _log.warning("backend %s sent a Flags header that can't be read: %.200r", backend, header)
    return known


def _mode(header: str, known: Mapping[str, Any], now: datetime) -> Mapping[str, Any]:
    """The flag of this mode, and since when. Without one, the runner says `None`."""
    value = None if header == "None" else header.encode("latin-1", "replace").decode(errors="replace")[:100]
    flag = known.get(_MODE)
    return known if flag and flag["v"] == value else {**known, _MODE: {"v": value, "ts": timestamp(now)}}


def _checked(text: str | bytes) -> dict[str, Any] | None:
    """Flags from JSON, with the types of their values and times checked; None if they can't be read."""
    try:
        flags = orjson.loads(text) if len(text) <= _MAX_FLAGS else None
    except ValueError:
        return None
    if not isinstance(flags, dict) or not all(isinstance(flag, dict) and "v" in flag for flag in flags.values()):
        return None
    if not all(isinstance(flag["v"], str | int | float | None) for flag in flags.values()):
        return None
    return {key: {"v": flag["v"], "ts": _time(flag.get("ts"))} for key, flag in flags.items()}


def _time(text: object) -> str | None:
    """As UTC; None if the text is not a time."""
    try:
        moment = datetime.fromisoformat(text) if isinstance(text, str) else None
        return timestamp(moment if moment.tzinfo else moment.replace(tzinfo=UTC)) if moment else None
    except (ValueError, OverflowError):
        return None
