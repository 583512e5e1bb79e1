"""Whether those who are bound to a GitHub account are there and in the organisation still: for every credential.

Asked in the background, and waited for only where what is known is old. Kept in the private store, so that a restart
lets nobody in again.
"""

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass
from time import time

from jobserver.errors import Error
from jobserver.service.accounts.private_store import PrivateStore

_log = logging.getLogger(__name__)
EVERY_SECONDS = 600.0
WAITED_FOR_SECONDS = 3600.0  # what is known is waited for once it is this old


@dataclass(frozen=True, slots=True)
class MembershipStatus:
    """What GitHub last said of somebody, and when, in seconds since 1970."""

    has_left: bool
    at: float


class Membership:
    """Thread-safe. What GitHub last said stands until it says something else: its silence locks nobody out."""

    def __init__(
        self,
        is_member: Callable[[int], bool],
        private: PrivateStore | None = None,
        clock: Callable[[], float] = time,
    ) -> None:
        self._is_member, self._private, self._clock = is_member, private, clock
        self._guard = threading.Lock()
        self._tried: dict[int, float] = {}
        self._asking: dict[int, threading.Event] = {}
        said = private.members() if private is not None else {}
        self._said = {number: MembershipStatus(has_left, at) for number, (has_left, at) in said.items()}

    def record_member(self, github_id: int) -> None:
        """Logging in just found them to be a member."""
        self._hear(github_id, has_left=False)

    def has_left(self, github_id: int | None, waits: bool = True) -> bool:
        """What is known; asks again if that is older than ten minutes, and ``waits`` for the answer if it is older than
        an hour. Who is bound to no account is never out."""
        if github_id is None:
            return False
        now = self._clock()
        with self._guard:
            word = self._said.get(github_id)
            tried = max(self._tried.get(github_id, -EVERY_SECONDS), word.at if word else -EVERY_SECONDS)
            answered = self._asking.get(github_id)
            is_due = answered is None and now - tried >= EVERY_SECONDS
            if is_due:
                self._tried[github_id] = now
                answered = self._asking[github_id] = threading.Event()
        if is_due:
            self._begin(github_id)
        if waits and answered is not None and (word is None or now - word.at >= WAITED_FOR_SECONDS):
            answered.wait()
            word = self._said.get(github_id)
        return word is not None and word.has_left

    def _begin(self, github_id: int) -> None:
        try:
            threading.Thread(target=self._ask, args=(github_id,), name="membership", daemon=True).start()
        except RuntimeError:  # no more threads: nobody waits for an answer that will not come
            with self._guard:
                self._answered(github_id)

    def _ask(self, github_id: int) -> None:
        """``is_member`` takes its time, but not for ever."""
        try:
            self._hear(github_id, has_left=not self._is_member(github_id))
        except Error as error:
            _log.warning("whether GitHub's account %s is a member still is not known: %s", github_id, error)
        finally:
            with self._guard:
                self._answered(github_id)

    def _answered(self, github_id: int) -> None:
        if (answered := self._asking.pop(github_id, None)) is not None:
            answered.set()

    def _hear(self, github_id: int, has_left: bool) -> None:
        word = MembershipStatus(has_left, self._clock())
        if self._private is not None:
            try:
                self._private.set_member(github_id, has_left, word.at)
            except Error as error:
                _log.warning("%s", error)
        with self._guard:
            self._said[github_id] = word
            self._answered(github_id)
