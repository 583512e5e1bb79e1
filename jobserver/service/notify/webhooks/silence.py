"""Which backends have stopped calling, and which call again. A pure function."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from jobserver.domain.backends import Backend


@dataclass(frozen=True, slots=True)
class SilenceChange:
    """``since``: the last call before the silence. ``back``: the first known call after it; None when it begins.

    Both in seconds since 1970.
    """

    backend: Backend
    since: int
    back: int | None = None


def silence_changes(
    backends: Iterable[Backend], heard: Mapping[str, int], silent: Mapping[str, int], started: int, now: int
) -> Iterator[SilenceChange]:
    """A backend is silent if it has called before, and not for its ``alert_after_minutes``.

    ``heard``: slug -> last call. ``silent``: slug -> last call before the silence that was announced. ``started``: when
    the server started, because no backend can call a server that does not run. All in seconds since 1970.
    """
    for backend in backends:
        last = heard.get(backend.slug)
        if last is None or not backend.active:
            continue
        since = silent.get(backend.slug)
        if since is not None:
            if last > since:
                yield SilenceChange(backend, since, back=last)
        elif now - max(last, started) > backend.alert_after_minutes * 60:
            yield SilenceChange(backend, last)
