"""The state of a backend, in one place for pages, the API, commands and monitors."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from jobserver.domain.backends import Backend
from jobserver.domain.waiting import words

_WARN_FOR = timedelta(days=1)
_OFF = (None, "", False, "false", "False", "off", "no")
PAUSED, REFUSING = "paused", "refusing"
MAINTENANCE = ("mode", "manual-db-maintenance")

# a runner's flag -> (the backend's state, what follows from that)
FLAGS = {
    PAUSED: ("Paused", "No new jobs will start."),
    MAINTENANCE[0]: ("In database maintenance", "Jobs that need the database are waiting."),
    MAINTENANCE[1]: ("In manual database maintenance", "Jobs that need the database are waiting."),
    REFUSING: ("Refusing some requests", "The runner does not trust their signatures. Its log has the reason."),
}


@dataclass(frozen=True, slots=True)
class BackendContact:
    """``flags``: id -> ``{"v": text, number, boolean or None, "ts": time as text or None}``.

    ``ahead``: how far in the future the times of its last report were. ``twice``: the last job request that two
    runners worked on, and when. ``problem``: what is wrong with the backend's controller, and since when. Only one
    process knows these. ``last_seen`` is None until a controller has heard of the backend.
    """

    last_seen: datetime | None
    flags: Mapping[str, Any] = field(default_factory=dict)
    ahead: timedelta = timedelta()
    twice: tuple[str, datetime] | None = None
    problem: tuple[str, datetime] | None = None


@dataclass(frozen=True, slots=True)
class Flag:
    """A flag that a runner has raised, in words. ``since`` is None where the runner did not send a time."""

    name: str
    state: str
    effect: str
    since: datetime | None


@dataclass(frozen=True, slots=True)
class BackendStatus:
    """``style``: the job status whose badge this looks like, or ``off``. ``last_seen`` is None where no runner has ever
    connected. ``clock_ahead``: how far the runner's clock was ahead, in words.

    ``refused``: what the runner does not trust, as its flag names it. ``run_twice``: the job request that two runners
    with the backend's token ran, and when the server noticed. ``problem``: what is wrong with its controller, and since
    when.
    """

    name: str
    label: str
    style: str
    last_seen: datetime | None
    flags: Sequence[Flag]
    is_active: bool = True
    is_late: bool = False
    refused: Sequence[str] = ()
    clock_ahead: str = ""
    run_twice: tuple[str, datetime] | None = None
    problem: tuple[str, datetime] | None = None

    @property
    def is_fine(self) -> bool:
        """For monitors, which ignore the runner's flags."""
        return self.style in ("succeeded", "pending")

    def flag(self, *names: str) -> Flag | None:
        """The first of these flags that is raised."""
        return next((flag for flag in self.flags if flag.name in names), None)

    def refuses(self, identifier: str) -> bool:
        """Whether the runner refuses this request, or its whole branch, because it does not trust the signature."""
        return identifier in self.refused or any(name.startswith("backends/") for name in self.refused)


def backend_status(backend: Backend, contact: BackendContact | None, now: datetime) -> BackendStatus:
    status = _status(backend, contact, now)
    if contact is None:
        return status
    return replace(
        status,
        refused=tuple(str(contact.flags.get(REFUSING, {}).get("v")).split()),
        clock_ahead=words.length(contact.ahead.total_seconds()) if contact.ahead else "",
        run_twice=contact.twice if contact.twice is not None and now - contact.twice[1] < _WARN_FOR else None,
        problem=contact.problem,
    )


def _status(backend: Backend, contact: BackendContact | None, now: datetime) -> BackendStatus:
    """A new backend has ``alert_after_minutes`` to connect before it counts as late."""
    name, last_seen = backend.name, contact.last_seen if contact else None
    raised = flags(contact.flags) if contact else []
    if not backend.active:
        return BackendStatus(name, "Deactivated", "off", last_seen, [], is_active=False)
    if (now - (last_seen or backend.created_at)).total_seconds() > backend.alert_after_minutes * 60:
        label = "Offline" if last_seen else "Never connected"
        return BackendStatus(name, label, "failed", last_seen, raised, is_late=True)
    if last_seen is None:
        return BackendStatus(name, "Not connected yet", "off", last_seen, raised)
    if raised:
        return BackendStatus(name, "Online with limits", "pending", last_seen, raised)
    return BackendStatus(name, "Online", "succeeded", last_seen, [])


def backend_statuses(
    backends: Mapping[str, Backend], slugs: Iterable[str], contacts: Mapping[str, BackendContact], now: datetime
) -> dict[str, BackendStatus]:
    return {slug: backend_status(backends[slug], contacts.get(slug), now) for slug in slugs}


def flags(raised: Mapping[str, Mapping[str, object]]) -> list[Flag]:
    """``raised``: a runner's flags as `BackendContact` has them; flags that are off or unknown are left out."""
    return [
        Flag(name, state, effect, _time(raised[name].get("ts")))
        for name, (state, effect) in FLAGS.items()
        if name in raised and raised[name].get("v") not in _OFF
    ]


def _time(text: object) -> datetime | None:
    try:
        moment = datetime.fromisoformat(str(text))
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)  # `service.presence` has checked its range
