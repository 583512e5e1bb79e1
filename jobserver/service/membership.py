"""Whether those who logged in with GitHub are still in the organisation: asked in the background, never per page."""

import logging
import threading
from collections.abc import Callable
from time import monotonic

from jobserver.errors import Error

_log = logging.getLogger(__name__)
EVERY_SECONDS = 600.0


class Membership:
    """Thread-safe. What GitHub last said stands until it says something else: its silence locks nobody out."""

    def __init__(self, is_member: Callable[[str], bool], clock: Callable[[], float] = monotonic) -> None:
        self._is_member, self._clock = is_member, clock
        self._guard = threading.Lock()
        self._asked: dict[str, float] = {}
        self._out: set[str] = set()

    def joined(self, username: str) -> None:
        """Logging in just found them to be a member."""
        with self._guard:
            self._asked[username] = self._clock()
            self._out.discard(username)

    def is_out(self, username: str) -> bool:
        """What is known now; starts to ask again if that is older than ten minutes."""
        now = self._clock()
        with self._guard:
            is_due = now - self._asked.get(username, -EVERY_SECONDS) >= EVERY_SECONDS
            if is_due:
                self._asked[username] = now
            is_out = username in self._out
        if is_due:
            threading.Thread(target=self._ask, args=(username,), name="membership", daemon=True).start()
        return is_out

    def _ask(self, username: str) -> None:
        try:
            is_member = self._is_member(username)
        except Error as error:
            _log.warning("whether %s is still in the organisation is not known: %s", username, error)
            return
        with self._guard:
            if is_member:
                self._out.discard(username)
            else:
                self._out.add(username)
