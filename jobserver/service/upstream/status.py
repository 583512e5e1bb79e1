"""When the hosted repository last answered, and how old the branches here are."""

import logging
import threading
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from jobserver.errors import Error

_log = logging.getLogger(__name__)
_FILE = "jobserver.seen"


class HostStatus:
    """``seen_at``: when the branches here were last known to match the host's.

    ``down_since`` is None, and ``problem`` empty, while the host answers.
    """

    def __init__(self, repository: Path, clock: Callable[[], datetime]) -> None:
        self._file, self._clock = repository / _FILE, clock
        self.seen_at = self._read()
        self.down_since: datetime | None = None
        self.problem = ""

    def seen(self, moment: datetime) -> None:
        """The branches here match those that the host had at ``moment``."""
        self.reached()
        self.seen_at = moment
        new = self._file.with_name(f"{self._file.name}.{threading.get_ident()}")
        with suppress(OSError):  # without the file, the next start reports older data than it has
            new.write_text(moment.isoformat())
            new.replace(self._file)

    def reached(self) -> None:
        """The host answered."""
        if self.down_since is not None:
            _log.warning("The hosted repository can be reached again")
        self.down_since, self.problem = None, ""

    def failed(self, error: Error) -> None:
        """The host did not answer, or not usefully."""
        self.problem = str(error)
        if self.down_since is None:
            self.down_since = self._clock()
            _log.error("%s", error)

    def _read(self) -> datetime:
        """From an earlier process: a server may start while the host can't be reached."""
        try:
            return datetime.fromisoformat(self._file.read_text())
        except (OSError, ValueError):
            return datetime.fromtimestamp(0, UTC)
