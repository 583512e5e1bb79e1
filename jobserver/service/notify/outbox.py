"""Messages that wait to be sent, in the private store: emails and webhooks. `sender` sends them.

A message is durable here before the server forgets the event that it is about, so a crash loses none. It is deleted
after the receiver has accepted it. If the server ends between the two, or an attempt exceeds its time limit, the
message is sent again, with the same id.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from jobserver.errors import Error
from jobserver.service.accounts.private_store import PrivateStore, Statement

_REMEMBERED = timedelta(days=90)  # marks of messages that were queued
_KEPT = timedelta(days=30)  # messages that were given up
_SHOWN = 20  # messages that failed, on /health-check/
LONGEST_TRIED = timedelta(days=3)
FIRST_PAUSE, LONGEST_PAUSE = 5, 3600
CLAIM_SECONDS = 30
"""How long one attempt may take. Until then, other servers with this private store leave the message alone."""

_COLUMNS = "number, mark, receiver, subject, content, queued_at, due, attempts, problem, given_up"
_QUEUE = """INSERT INTO outbox (mark, receiver, subject, content, queued_at, due) SELECT ?, ?, ?, ?, ?, ?
    WHERE NOT EXISTS (SELECT 1 FROM used WHERE mark = ?)"""
_HEADS = """SELECT receiver FROM outbox WHERE due <= ? AND number IN
    (SELECT min(number) FROM outbox WHERE given_up = 0 GROUP BY receiver) ORDER BY due, number"""


def pause(attempts: int) -> int:
    """Seconds between the last of so many attempts (1 or more) and the next: 5, 10, 20 and so on, an hour at most."""
    return min(FIRST_PAUSE << min(attempts - 1, 20), LONGEST_PAUSE)


@dataclass(frozen=True, slots=True)
class Message:
    """One message to one receiver.

    ``mark``: different for each message; each mark is queued once. ``receiver``: ``mail/USERNAME`` or
    ``webhook/NUMBER``. ``subject``: in words that anybody may read. ``content``: what is sent, as the kind of receiver
    needs it.
    """

    mark: str
    receiver: str
    subject: str
    content: str

    @property
    def kind(self) -> str:
        """``mail`` or ``webhook``."""
        return self.receiver.partition("/")[0]

    @property
    def address(self) -> str:
        """The username, or the webhook's number."""
        return self.receiver.partition("/")[2]


@dataclass(frozen=True, slots=True)
class QueuedMessage:
    """A message in the outbox. Times are seconds since 1970. ``problem``: why the last attempt failed."""

    number: int
    message: Message
    queued_at: int
    due: int
    attempts: int
    problem: str
    is_given_up: bool

    def __str__(self) -> str:
        """In words, without addresses."""
        ending = "not sent" if self.is_given_up else "will be sent again"
        return f"{self.message.subject}: {self.problem}; {ending}"


class Outbox:
    """Thread-safe, also for several processes. Each method raises `Error` if the private store can't be used."""

    def __init__(self, private: PrivateStore, clock: Callable[[], datetime]) -> None:
        self._private, self._clock = private, clock
        self.on_queued: Callable[[], None] = lambda: None

    def queue(self, messages: Iterable[Message], *also: Statement) -> None:
        """Queues the messages whose marks are new, together with ``also``: all of it or nothing."""
        now = self._now()
        statements: list[Statement] = []
        for message in messages:
            values = (message.mark, message.receiver, message.subject, message.content, now, now, message.mark)
            until = now + int(_REMEMBERED.total_seconds())
            statements.append((_QUEUE, values))
            statements.append(("INSERT INTO used VALUES (?, ?) ON CONFLICT DO NOTHING", (message.mark, until)))
        if statements:
            oldest = now - int(_KEPT.total_seconds())
            statements.append(("DELETE FROM used WHERE until < ?", (now,)))
            statements.append(("DELETE FROM outbox WHERE given_up = 1 AND queued_at < ?", (oldest,)))
        self._private.run_all([*statements, *also])
        if statements:
            self.on_queued()

    def due_receivers(self) -> list[str]:
        """Receivers whose oldest message is due, the longest due first."""
        return [str(row[0]) for row in self._private.run(_HEADS, self._now())]

    def claim(self, receiver: str) -> QueuedMessage | None:
        """The receiver's oldest message if it is due, for one attempt by this process; counts the attempt."""
        query = f"SELECT {_COLUMNS} FROM outbox WHERE given_up = 0 AND receiver = ? ORDER BY number LIMIT 1"
        rows = self._private.run(query, receiver)
        if not rows:
            return None
        queued, now = _queued(rows[0]), self._now()
        if queued.due > now:
            return None
        claimed = self._private.run(
            f"UPDATE outbox SET due = ?, attempts = attempts + 1 WHERE number = ? AND due = ? RETURNING {_COLUMNS}",
            now + CLAIM_SECONDS,
            queued.number,
            queued.due,
        )
        return _queued(claimed[0]) if claimed else None

    def sent(self, queued: QueuedMessage) -> None:
        self._private.run("DELETE FROM outbox WHERE number = ?", queued.number)

    def failed(self, queued: QueuedMessage, problem: str, *, is_permanent: bool) -> None:
        """Sets the time of the next attempt. Gives up if the failure is permanent, or after `LONGEST_TRIED`."""
        now = self._now()
        gives_up = is_permanent or now - queued.queued_at >= LONGEST_TRIED.total_seconds()
        self._private.run(
            "UPDATE outbox SET due = ?, problem = ?, given_up = ? WHERE number = ?",
            now + pause(queued.attempts),
            problem,
            int(gives_up),
            queued.number,
        )

    def messages(self) -> list[QueuedMessage]:
        """All, oldest first."""
        return [_queued(row) for row in self._private.run(f"SELECT {_COLUMNS} FROM outbox ORDER BY number")]

    def waiting(self) -> int:
        """How many messages are to be sent."""
        return int(str(self._private.run("SELECT count(*) FROM outbox WHERE given_up = 0")[0][0]))

    def counts(self) -> list[tuple[str, bool, int, int]]:
        """(kind, whether given up, how many messages, seconds since the oldest was queued), for each that there are."""
        query = """SELECT substr(receiver, 1, instr(receiver, '/') - 1) AS kind, given_up, count(*), min(queued_at)
            FROM outbox GROUP BY kind, given_up"""
        now = self._now()
        return [
            (str(kind), bool(given_up), int(str(count)), max(now - int(str(oldest)), 0))
            for kind, given_up, count, oldest in self._private.run(query)
        ]

    def problems(self, kind: str) -> list[str]:
        """Messages of this kind that failed: those that were given up, then those that will be sent again."""
        query = f"""SELECT {_COLUMNS} FROM outbox WHERE problem != '' AND given_up = ? AND receiver LIKE ?
            ORDER BY number DESC LIMIT {_SHOWN}"""
        try:
            rows = [row for given_up in (1, 0) for row in self._private.run(query, given_up, f"{kind}/%")]
        except Error as error:
            return [str(error)]
        return [str(_queued(row)) for row in rows]

    def retry(self, numbers: Sequence[int]) -> int:
        """Makes these messages due now, also those that were given up. Returns how many there were."""
        now = self._now()
        statement = """UPDATE outbox SET due = ?, queued_at = CASE given_up WHEN 1 THEN ? ELSE queued_at END,
            attempts = 0, given_up = 0 WHERE number = ? RETURNING 1"""
        return sum(len(self._private.run(statement, now, now, number)) for number in numbers)

    def drop(self, numbers: Sequence[int]) -> int:
        """Deletes these messages without sending them. Returns how many there were."""
        return sum(
            len(self._private.run("DELETE FROM outbox WHERE number = ? RETURNING 1", number)) for number in numbers
        )

    def _now(self) -> int:
        return int(self._clock().timestamp())


def _queued(row: Sequence[object]) -> QueuedMessage:
    number, mark, receiver, subject, content, queued_at, due, attempts, problem, given_up = map(str, row)
    message = Message(mark, receiver, subject, content)
    return QueuedMessage(
        int(number), message, int(queued_at), int(due), int(attempts), problem, is_given_up=given_up == "1"
    )
