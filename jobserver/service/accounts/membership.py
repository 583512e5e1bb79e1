"""Whether people with a GitHub account still have it, and are still in the organisation. Checked for every credential.

GitHub is asked in the background; a caller waits only if the last answer is old. Answers are in the private store, so
that a restart does not let anybody in again.
"""

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass
from time import time

from jobserver.errors import Error
from jobserver.service.accounts.private_store import PrivateStore
from jobserver.worker import start_task

_log = logging.getLogger(__name__)
EVERY_SECONDS = 600.0
WAITED_FOR_SECONDS = 3600.0  # callers wait for a new answer if the last one is older


@dataclass(frozen=True, slots=True)
class MembershipStatus:
    """GitHub's last answer about a person, and when it came, in seconds since 1970."""

    has_left: bool
    answered_at: float


class Membership:
    """Thread-safe. GitHub's last answer counts until there is another one: an outage of GitHub locks nobody out."""

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
        members = private.members() if private is not None else {}
        self._answers = {number: MembershipStatus(has_left, time) for number, (has_left, time) in members.items()}

    def record_member(self, github_id: int) -> None:
        """The person has just logged in as a member."""
        self._record(github_id, has_left=False)

    def has_left(self, github_id: int | None, waits: bool = True) -> bool:
        """By the last answer. Asks GitHub again if that is older than ten minutes, and ``waits`` if it is older than an
        hour. False for a person without a GitHub account."""
        if github_id is None:
            return False
        now = self._clock()
        with self._guard:
            answer = self._answers.get(github_id)
            tried = max(self._tried.get(github_id, -EVERY_SECONDS), answer.answered_at if answer else -EVERY_SECONDS)
            answered = self._asking.get(github_id)
            is_due = answered is None and now - tried >= EVERY_SECONDS
            if is_due:
                self._tried[github_id] = now
                answered = self._asking[github_id] = threading.Event()
        if is_due:
            self._begin(github_id)
        if waits and answered is not None and (answer is None or now - answer.answered_at >= WAITED_FOR_SECONDS):
            answered.wait()
            answer = self._answers.get(github_id)
        return answer is not None and answer.has_left

    def _begin(self, github_id: int) -> None:
        try:
            start_task("membership", lambda: self._ask(github_id))
        except RuntimeError:  # no more threads: nobody must wait for an answer that will not come
            with self._guard:
                self._answered(github_id)

    def _ask(self, github_id: int) -> None:
        """``is_member`` may be slow, but has a time limit."""
        try:
            self._record(github_id, has_left=not self._is_member(github_id))
        except Error as error:
            _log.warning("can't check whether GitHub account %s is still a member: %s", github_id, error)
        finally:
            with self._guard:
                self._answered(github_id)

    def _answered(self, github_id: int) -> None:
        if (answered := self._asking.pop(github_id, None)) is not None:
            answered.set()

    def _record(self, github_id: int, has_left: bool) -> None:
        answer = MembershipStatus(has_left, self._clock())
        if self._private is not None:
            try:
                self._private.set_member(github_id, has_left, answer.answered_at)
            except Error as error:
                _log.warning("%s", error)
        with self._guard:
            self._answers[github_id] = answer
            self._answered(github_id)
