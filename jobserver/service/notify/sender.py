"""Sends what is in the outbox, in a thread of its own: to each receiver in order, and again later what fails.

A receiver that fails holds up nobody else's messages. An email server that fails is given one attempt in each round.
"""

import logging
from collections.abc import Callable, Mapping

from jobserver.errors import Code, Error, unavailable
from jobserver.service.notify.outbox import Message, Outbox, QueuedMessage
from jobserver.worker import Worker

_log = logging.getLogger(__name__)
_ROUND_SECONDS = 5.0  # commands and other servers queue messages too
_BATCH = 20  # messages to one receiver in one round

Transport = Callable[[Message], None]
"""Sends one message. Raises `Error`: unavailable if it may work later, any other code if it is refused permanently."""


class Sender:
    """``transports`` has one for each kind of receiver."""

    def __init__(self, outbox: Outbox, transports: Mapping[str, Transport]) -> None:
        self._outbox, self._transports = outbox, transports
        self._worker = Worker("outbox", self.send_due)
        self.start, self.close = self._worker.start, self._worker.close
        outbox.on_queued = self._worker.wake

    def send_due(self) -> float:
        """One round over the receivers whose oldest message is due. Returns the seconds until the next round.

        Raises `Error` if the private store can't be used.
        """
        is_more, mail_fails = False, False
        for receiver in self._outbox.due_receivers():
            is_mail = receiver.startswith("mail/")
            if is_mail and mail_fails:
                continue
            count, fails = self._send_to(receiver)
            is_more = is_more or count == _BATCH
            mail_fails = mail_fails or (is_mail and fails)
        return 0.0 if is_more else _ROUND_SECONDS

    def _send_to(self, receiver: str) -> tuple[int, bool]:
        """Sends the receiver's messages in order until one has to wait. Returns their number, and whether one has."""
        for count in range(_BATCH):
            queued = self._outbox.claim(receiver)
            if queued is None:
                return count, False
            if not self._attempt(queued):
                return count, True
        return _BATCH, False

    def _attempt(self, queued: QueuedMessage) -> bool:
        """Whether the receiver's next message may follow."""
        message = queued.message
        try:
            transport = self._transports.get(message.kind)
            if transport is None:
                setting = "OUTPUT_CHECKING_REPOS" if message.kind == "github" else "EMAIL_BACKEND"
                raise unavailable(f"{setting} is not set")
            transport(message)
        except Error as error:
            _log.warning("%s: %s", message.subject, error)
            may_work_later = error.code is Code.UNAVAILABLE
            self._outbox.failed(queued, error.message, is_permanent=not may_work_later)
            return not may_work_later
        except Exception as error:  # noqa: BLE001 - a bug must not hold up the receiver's other messages
            _log.exception("%s", message.subject)
            self._outbox.failed(queued, f"a bug in jobserver ({type(error).__name__})", is_permanent=True)
            return True
        self._outbox.sent(queued)
        return True
