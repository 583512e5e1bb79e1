"""The outbox and the sender: what is queued is sent once, in order for each receiver, also across restarts."""

from collections import defaultdict
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from jobserver.errors import Error, invalid, unavailable
from jobserver.service.accounts.private_store import PrivateStore
from jobserver.service.notify.outbox import CLAIM_SECONDS, Message, Outbox
from jobserver.service.notify.sender import Sender


class Clock:
    def __init__(self) -> None:
        self.now = datetime(2026, 11, 24, 9, 0, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def wait(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


class Receivers:
    """Keeps what each receiver accepted; ``down`` ones don't answer, ``refusing`` ones refuse permanently."""

    def __init__(self) -> None:
        self.accepted: dict[str, list[str]] = defaultdict(list)
        self.attempts = 0
        self.down: set[str] = set()
        self.refusing: set[str] = set()
        self.killed = False

    def __call__(self, message: Message) -> None:
        self.attempts += 1
        if message.receiver in self.down:
            raise unavailable("down")
        if message.receiver in self.refusing:
            raise invalid("refused")
        self.accepted[message.receiver].append(message.content)
        if self.killed:
            raise KeyboardInterrupt


@pytest.fixture
def private(tmp_path: Path) -> Iterator[PrivateStore]:
    store = PrivateStore(tmp_path / "private.sqlite3")
    yield store
    store.close()


def message(number: int, receiver: str = "webhook/1") -> Message:
    return Message(f"{receiver}/{number}", receiver, f"message {number}", str(number))


def sender(outbox: Outbox, receivers: Receivers) -> Sender:
    return Sender(outbox, {"webhook": receivers, "mail": receivers})


def test_a_mark_is_queued_once_even_after_it_was_sent(private: PrivateStore) -> None:
    outbox, receivers = Outbox(private, Clock()), Receivers()
    for _ in range(2):
        outbox.queue([message(1)])
        outbox.queue([message(1), message(2)])
        sender(outbox, receivers).send_due()
    assert receivers.accepted == {"webhook/1": ["1", "2"]}
    assert outbox.waiting() == 0


def test_a_receiver_that_was_down_gets_everything_in_order(private: PrivateStore, tmp_path: Path) -> None:
    clock, receivers = Clock(), Receivers()
    outbox = Outbox(private, clock)
    receivers.down = {"webhook/1"}
    for number in range(50):
        outbox.queue([message(number), message(number, "webhook/2")])
        sender(outbox, receivers).send_due()
        clock.wait(72)
    assert receivers.accepted == {"webhook/2": [str(number) for number in range(50)]}  # nobody else waited
    assert receivers.attempts < 50 + 15
    assert outbox.waiting() == 50
    receivers.down = set()
    again = PrivateStore(tmp_path / "private.sqlite3")  # another server, after a crash of the first
    clock.wait(3600)
    rounds = 0
    restarted = sender(Outbox(again, clock), receivers)
    while restarted.send_due() == 0:
        rounds += 1
    assert rounds == 2  # no round sends one receiver more than a batch
    assert receivers.accepted["webhook/1"] == [str(number) for number in range(50)]
    again.close()


def test_what_is_queued_with_the_branch_is_all_or_nothing(private: PrivateStore) -> None:
    outbox = Outbox(private, Clock())
    with pytest.raises(Error, match="PRIVATE_STORE can't be used"):
        outbox.queue([message(1)], private.set_notified("main", "a" * 40), ("INSERT INTO nowhere VALUES (1)", ()))
    assert (outbox.waiting(), private.notified("main")) == (0, None)
    outbox.queue([message(1)], private.set_notified("main", "a" * 40))
    assert (outbox.waiting(), private.notified("main")) == (1, "a" * 40)


def test_a_message_in_progress_is_not_sent_by_another_server(private: PrivateStore) -> None:
    clock = Clock()
    outbox = Outbox(private, clock)
    outbox.queue([message(1), message(2)])
    claimed = outbox.claim("webhook/1")
    assert claimed is not None
    assert claimed.message == message(1)
    receivers = Receivers()
    sender(Outbox(private, clock), receivers).send_due()
    assert receivers.attempts == 0  # the second message does not overtake the first
    outbox.sent(claimed)
    sender(Outbox(private, clock), receivers).send_due()
    assert receivers.accepted == {"webhook/1": ["2"]}


def test_after_a_crash_within_an_attempt_the_message_is_sent_again(private: PrivateStore) -> None:
    clock, receivers = Clock(), Receivers()
    outbox = Outbox(private, clock)
    outbox.queue([message(1), message(2)])
    receivers.killed = True
    with pytest.raises(KeyboardInterrupt):
        sender(outbox, receivers).send_due()
    receivers.killed = False
    clock.wait(CLAIM_SECONDS)
    sender(outbox, receivers).send_due()
    assert receivers.accepted == {"webhook/1": ["1", "1", "2"]}


def test_a_message_that_is_refused_permanently_does_not_hold_up_the_next(private: PrivateStore) -> None:
    clock, receivers = Clock(), Receivers()
    outbox = Outbox(private, clock)
    receivers.refusing = {"webhook/1"}
    outbox.queue([message(1), message(2)])
    sender(outbox, receivers).send_due()
    assert receivers.attempts == 2
    assert outbox.problems("webhook") == [f"message {number}: refused; not sent" for number in (2, 1)]
    assert (outbox.problems("mail"), outbox.waiting()) == ([], 0)


def test_a_bug_does_not_hold_up_the_next_message(private: PrivateStore) -> None:
    def fail(message: Message) -> None:
        if message.content == "1":
            raise ZeroDivisionError
        sent.append(message.content)

    sent: list[str] = []
    outbox = Outbox(private, Clock())
    outbox.queue([message(1), message(2)])
    Sender(outbox, {"webhook": fail}).send_due()
    assert sent == ["2"]
    assert outbox.problems("webhook") == ["message 1: a bug in jobserver (ZeroDivisionError); not sent"]


def test_emails_wait_while_email_is_not_configured(private: PrivateStore) -> None:
    outbox = Outbox(private, Clock())
    outbox.queue([message(1, "mail/alice")])
    Sender(outbox, {}).send_due()
    assert outbox.problems("mail") == ["message 1: EMAIL_BACKEND is not set; will be sent again"]


def test_a_mail_server_that_is_down_gets_one_attempt_a_round(private: PrivateStore) -> None:
    receivers, outbox = Receivers(), Outbox(private, Clock())
    people = [f"mail/{number}" for number in range(5)]
    receivers.down = set(people)
    outbox.queue([message(1, person) for person in people])
    sender(outbox, receivers).send_due()
    assert receivers.attempts == 1
    receivers.down = {people[0]}  # only this mailbox is full
    sender(outbox, receivers).send_due()
    assert sorted(receivers.accepted) == people[1:]


def test_what_was_given_up_can_be_retried_dropped_or_expires(private: PrivateStore) -> None:
    clock, receivers = Clock(), Receivers()
    outbox = Outbox(private, clock)
    receivers.refusing = {"webhook/1"}
    outbox.queue([message(number) for number in range(3)])
    sender(outbox, receivers).send_due()
    first, second, _ = [queued.number for queued in outbox.messages()]
    receivers.refusing = set()
    clock.wait(timedelta(days=20).total_seconds())
    assert outbox.retry([first, 999]) == 1
    sender(outbox, receivers).send_due()
    assert receivers.accepted == {"webhook/1": ["0"]}
    assert outbox.drop([second, 999]) == 1
    assert [queued.message.content for queued in outbox.messages()] == ["2"]
    clock.wait(timedelta(days=11).total_seconds())
    outbox.queue([message(7)])
    assert [queued.message.content for queued in outbox.messages()] == ["7"]
