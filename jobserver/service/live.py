"""What is true only now, and never in git: when each backend was last heard of, and what flags its runner sent."""

import logging
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import orjson

_log = logging.getLogger(__name__)
_MAX_FLAGS = 16 * 1024


@dataclass(frozen=True, slots=True)
class Seen:
    """``flags``: id -> ``{"v": value, "ts": time or None}``, as the runner sent them."""

    last_seen: datetime
    flags: Mapping[str, Any] = field(default_factory=dict)


class Live:
    """Thread-safe; forgotten when the process ends."""

    def __init__(self, clock: Callable[[], datetime]) -> None:
        self._clock = clock
        self._guard = threading.Lock()
        self._seen: dict[str, Seen] = {}

    def heard(self, backend: str, flags: str | None) -> None:
        """A call of this backend's runner, with its Flags header. Flags that make no sense are logged and ignored."""
        now = self._clock()
        with self._guard:
            known = self._seen.get(backend)
            kept = known.flags if known else {}
            self._seen[backend] = Seen(now, kept if flags is None else _flags(backend, flags, kept))

    def seen(self) -> dict[str, Seen]:
        with self._guard:
            return dict(self._seen)


def _flags(backend: str, header: str, known: Mapping[str, Any]) -> Mapping[str, Any]:
    try:
        found = orjson.loads(header.encode("latin-1")) if len(header) <= _MAX_FLAGS else None
    except (ValueError, UnicodeError):
        found = None
    if isinstance(found, dict) and all(isinstance(flag, dict) and "v" in flag for flag in found.values()):
        return found
    _log.warning("backend %s sent Flags that can't be read: %.200r", backend, header)
    return known
