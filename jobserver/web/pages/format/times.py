"""Times and durations in words. Pure; ``micros`` are microseconds since 1970, UTC."""

from datetime import UTC, datetime, timedelta

from jobserver.domain.waiting.words import length

__all__ = ["ago", "duration", "exactly", "length", "micros", "moment", "running", "took"]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_FIRST = (datetime(1, 1, 1, tzinfo=UTC) - _EPOCH) // timedelta(microseconds=1)
_LAST = (datetime(9999, 12, 31, tzinfo=UTC) - _EPOCH) // timedelta(microseconds=1)


def moment(micros: int | None) -> datetime | None:
    """Times outside the years 1 to 9999 become the first or the last day: an estimate can add up centuries."""
    if micros is None:
        return None
    return _EPOCH + timedelta(microseconds=max(_FIRST, min(micros, _LAST)))


def micros(moment: datetime) -> int:
    return (moment - _EPOCH) // timedelta(microseconds=1)


def ago(moment: datetime, now: datetime) -> str:
    """``just now``, ``3 minutes ago``, ``in 2 hours``."""
    seconds = int((now - moment).total_seconds())
    if abs(seconds) < 5:
        return "just now"
    return f"{length(seconds)} ago" if seconds > 0 else f"in {length(-seconds)}"


def exactly(moment: datetime) -> str:
    """``2026-11-24 10:00:05 UTC``."""
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"


def running(seconds: float) -> str:
    """As `duration`, of what has not ended: from a minute on, in steps that a person can read while it goes on."""
    text = duration(seconds)
    return text.partition(" ")[0] if 60 <= seconds < 3600 else text


def round_duration(seconds: int) -> str:
    """As `duration`, without a second unit that is zero: ``5m``, ``1h 30m``."""
    first, _, second = duration(seconds).partition(" ")
    return first if second in ("", "0s", "0m", "0h") else f"{first} {second}"


def took(seconds: float) -> str:
    """As `duration`, of what has ended: nothing took ``0s``."""
    return duration(seconds) if seconds >= 1 else "under 1s"


def duration(seconds: float) -> str:
    """``8s``, ``48m 8s``, ``2h 5m``, ``3d 4h``: the two largest units. Never negative: two clocks may disagree."""
    whole = max(int(seconds), 0)
    if whole < 60:
        return f"{whole}s"
    if whole < 3600:
        return f"{whole // 60}m {whole % 60}s"
    if whole < 86400:
        return f"{whole // 3600}h {whole // 60 % 60}m"
    return f"{whole // 86400}d {whole // 3600 % 24}h"
