"""Emails on their way out: each is sent once, and those that fail now are sent again later.

Pauses between attempts double up to an hour, for a day at most. An email that the provider refuses for good is not
tried again. Emails that wait for another attempt are lost when the server stops.
"""

import logging
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from jobserver.errors import Code, Error
from jobserver.service.accounts.private_store import PrivateStore
from jobserver.service.notify.mail import Mail, Mailer

_log = logging.getLogger(__name__)
_REMEMBERED = timedelta(days=90)
_FIRST_PAUSE = timedelta(minutes=1)
_LONGEST_PAUSE = timedelta(hours=1)
_LONGEST_TRIED = timedelta(days=1)
_SHOWN = 20  # emails that failed, on /health-check/


@dataclass(frozen=True, slots=True)
class _Unsent:
    """An email to send again at ``due``. ``since``: the first attempt; ``problem``: why the last one failed."""

    mail: Mail
    since: datetime
    due: datetime
    problem: str


def _subject(mark: str) -> str:
    """The subject in words that anybody may read: only two people may know who was invited to what."""
    subjects = {"invitation": "an invitation", "token": "a warning about a token"}
    return subjects.get(mark.partition("/")[0], f"job request {mark}")


class Outbox:
    """One thread sends; `problems` is for any thread."""

    def __init__(self, private: PrivateStore, mailer: Mailer, clock: Callable[[], datetime]) -> None:
        self._private, self._mailer, self._clock = private, mailer, clock
        self._unsent: dict[str, _Unsent] = {}
        self._failed: deque[str] = deque(maxlen=_SHOWN)

    def problems(self) -> list[str]:
        """Emails that failed since the start and those to be sent again, without addresses."""
        unsent = list(self._unsent.items())
        waiting = [f"{_subject(mark)}: {email.problem}; will be sent again" for mark, email in unsent]
        return [*self._failed, *waiting[:_SHOWN]]

    def send_once(self, mark: str, username: str, write: Callable[[str], Mail]) -> None:
        """Sends one email for each ``mark``, if the person has an address, which ``write`` gets."""
        to, now = self._private.email(username), self._clock()
        until = int((now + _REMEMBERED).timestamp())
        if to and self._private.use_up(f"mail/{mark}", until, int(now.timestamp())):
            self._send(mark, write(to), now)

    def send_again(self) -> None:
        """Sends those whose pause is over."""
        now = self._clock()
        for mark, email in list(self._unsent.items()):
            if email.due <= now:
                self._send(mark, email.mail, email.since)

    def _send(self, mark: str, mail: Mail, since: datetime) -> None:
        self._unsent.pop(mark, None)
        try:
            self._mailer.send(mail)
        except Error as error:
            _log.warning("%s: %s", mark, error)
            tried = self._clock() - since
            if error.code is not Code.UNAVAILABLE or tried >= _LONGEST_TRIED:
                self._failed.append(f"{_subject(mark)}: {error.message}; not sent")
                return
            pause = min(max(tried, _FIRST_PAUSE), _LONGEST_PAUSE)  # as long as it has been tried, so that it doubles
            self._unsent[mark] = _Unsent(mail, since, since + tried + pause, error.message)
