"""The state of a backend, in one place for the banner, the front page, `/status/`, the backends' pages and monitors."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from jobserver.domain.backends import Backend
from jobserver.index.directory import Directory
from jobserver.service.presence import BackendContact
from jobserver.web.pages.format import labels, times
from jobserver.web.pages.format.labels import Flag

_WARN_FOR = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class BackendStatus:
    """``style``: the job status whose badge this looks like, or ``off``. ``last_seen`` is None where no runner has ever
    connected. ``clock_ahead``: how far the runner's clock was ahead, in words.

    ``run_twice``: the job request that two runners with the backend's token ran, and when the server noticed.
    """

    label: str
    style: str
    last_seen: datetime | None
    flags: Sequence[Flag]
    is_late: bool = False
    clock_ahead: str = ""
    run_twice: tuple[str, datetime] | None = None

    @property
    def is_fine(self) -> bool:
        """For monitors, which ignore the runner's flags."""
        return self.style in ("succeeded", "pending")


def backend_status(backend: Backend, contact: BackendContact | None, now: datetime) -> BackendStatus:
    status = _status(backend, contact, now)
    if contact is None:
        return status
    twice = contact.twice if contact.twice is not None and now - contact.twice[1] < _WARN_FOR else None
    ahead = times.length(contact.ahead.total_seconds()) if contact.ahead else ""
    return replace(status, clock_ahead=ahead, run_twice=twice)


def _status(backend: Backend, contact: BackendContact | None, now: datetime) -> BackendStatus:
    """A new backend has ``alert_after_minutes`` to connect before it counts as late."""
    last_seen = contact.last_seen if contact else None
    flags = labels.flags(contact.flags) if contact else []
    if not backend.active:
        return BackendStatus("Deactivated", "off", last_seen, [])
    if (now - (last_seen or backend.created_at)).total_seconds() > backend.alert_after_minutes * 60:
        return BackendStatus("Offline" if last_seen else "Never connected", "failed", last_seen, flags, is_late=True)
    if last_seen is None:
        return BackendStatus("Not connected yet", "off", last_seen, flags)
    if flags:
        return BackendStatus("Online with limits", "pending", last_seen, flags)
    return BackendStatus("Online", "succeeded", last_seen, [])


def backend_statuses(
    directory: Directory, slugs: Iterable[str], contacts: Mapping[str, BackendContact], now: datetime
) -> dict[str, BackendStatus]:
    return {slug: backend_status(directory.backends[slug], contacts.get(slug), now) for slug in slugs}
