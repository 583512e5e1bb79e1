"""How a backend stands: one judgement for the banner, the front page, `/status/`, the list of backends and monitors."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from jobserver.domain.backends import Backend
from jobserver.index.directory import Directory
from jobserver.service.presence import BackendContact
from jobserver.web.pages.format import labels

_REMEMBERED = timedelta(days=1)
Flags = list[tuple[str, datetime | None]]


@dataclass(frozen=True, slots=True)
class Standing:
    """``said`` in two or three words; ``looks``: the status that its badge looks like, or ``off``.

    ``flags`` as of `labels.raised`. ``last_seen`` is None where no runner has ever called for it. ``ahead``: how far
    its clock was ahead, in words. ``twice``: the job request that two runners with its token worked on, and when that
    was noticed.
    """

    said: str
    looks: str
    last_seen: datetime | None
    flags: Flags
    is_late: bool = False
    ahead: str = ""
    twice: tuple[str, datetime] | None = None

    @property
    def is_fine(self) -> bool:
        """For monitors, which do not look at what a runner says of itself."""
        return self.looks in ("succeeded", "pending")


def standing(backend: Backend, seen: BackendContact | None, now: datetime) -> Standing:
    found = _standing(backend, seen, now)
    if seen is None:
        return found
    twice = seen.twice if seen.twice is not None and now - seen.twice[1] < _REMEMBERED else None
    return replace(found, ahead=labels.length(seen.ahead.total_seconds()) if seen.ahead else "", twice=twice)


def _standing(backend: Backend, seen: BackendContact | None, now: datetime) -> Standing:
    """A new backend has its ``alert_after_minutes`` before it is late."""
    last = seen.last_seen if seen else None
    flags: Flags = labels.raised(dict(seen.flags)) if seen else []
    if not backend.active:
        return Standing("Switched off", "off", last, [])
    if (now - (last or backend.created_at)).total_seconds() > backend.alert_after_minutes * 60:
        return Standing("Not seen in time" if last else "Never seen", "failed", last, flags, is_late=True)
    if last is None:
        return Standing("Not seen yet", "off", last, flags)
    return Standing("Seen, but held up", "pending", last, flags) if flags else Standing("Seen", "succeeded", last, [])


def standings(
    directory: Directory, slugs: Iterable[str], seen: Mapping[str, BackendContact], now: datetime
) -> dict[str, Standing]:
    return {slug: standing(directory.backends[slug], seen.get(slug), now) for slug in slugs}
