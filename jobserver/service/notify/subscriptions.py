"""Who gets an email about which job requests, and when: people's own settings, in the private store."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from jobserver.service.accounts.private_store import PrivateStore


class EmailChoice(StrEnum):
    """When a person gets an email about a job request."""

    FINISHED = "finished"
    FAILED = "failed"
    CHANGED = "changed"  # its outcome is another one than that of the request before it

    def covers(self, outcome: str, earlier: str) -> bool:
        """``earlier``: the outcome of the request before; empty if there is none."""
        match self:
            case EmailChoice.FINISHED:
                return True
            case EmailChoice.FAILED:
                return outcome == "failed"
            case EmailChoice.CHANGED:
                return outcome != earlier


@dataclass(frozen=True, slots=True)
class Subscriber:
    """``subject``: what they follow, as ``request/<id>`` or ``workspace/<name>``; empty for their own request."""

    username: str
    subject: str


class Subscriptions:
    def __init__(self, private: PrivateStore) -> None:
        self._private = private

    def choice(self, username: str) -> EmailChoice:
        rows = self._private.run("SELECT choice FROM email_choices WHERE username=?", username)
        known = str(rows[0][0]) if rows else ""
        return EmailChoice(known) if known in set(EmailChoice) else EmailChoice.FINISHED

    def choose(self, username: str, choice: EmailChoice) -> None:
        self._private.run("INSERT OR REPLACE INTO email_choices VALUES (?, ?)", username, choice.value)

    def follow(self, username: str, subject: str, is_on: bool) -> None:
        if is_on:
            self._private.run("INSERT OR IGNORE INTO subscriptions VALUES (?, ?)", username, subject)
        else:
            self._private.run("DELETE FROM subscriptions WHERE username=? AND subject=?", username, subject)

    def follows(self, username: str, subject: str) -> bool:
        return bool(self._private.run("SELECT 1 FROM subscriptions WHERE username=? AND subject=?", username, subject))

    def subjects(self, username: str) -> list[str]:
        """What this person follows."""
        rows = self._private.run("SELECT subject FROM subscriptions WHERE username=? ORDER BY subject DESC", username)
        return [str(subject) for (subject,) in rows]

    def of(self, subjects: Sequence[str]) -> list[Subscriber]:
        """Each person once, who follows the first of these subjects that they follow."""
        subscribers: dict[str, Subscriber] = {}
        for subject in subjects:
            rows = self._private.run("SELECT username FROM subscriptions WHERE subject=? ORDER BY username", subject)
            for (username,) in rows:
                subscribers.setdefault(str(username), Subscriber(str(username), subject))
        return list(subscribers.values())
