"""One-time tokens: three words with which a person logs in to Airlock inside a backend, where GitHub can't be reached.

A token is in the record, as an HMAC with SECRET_KEY, and not in the private store: so the record says who logged in to
which backend and when, each token works once with several servers too, and it ends when the person is disabled. Who
reads the record can't try all words, because that needs the key.
"""

import hashlib
import hmac
import re
import secrets
from functools import cache
from importlib import resources

from jobserver.domain.base.permissions import Actor, ActorKind
from jobserver.domain.governance.refusals import check_backend
from jobserver.domain.tokens import wrong_words
from jobserver.domain.users import CreateOneTimeToken, UseOneTimeToken
from jobserver.index.index import Index
from jobserver.service.accounts.private_store import PrivateStore
from jobserver.service.writes.gate import Gate

_WORDS = 3


@cache
def known_words() -> tuple[str, ...]:
    """Short English words that are easy to read, say and type."""
    return tuple(resources.files(__package__).joinpath("words.txt").read_text(encoding="ascii").split())


class OneTimeTokens:
    """``key``: SECRET_KEY."""

    def __init__(self, key: str, gate: Gate, index: Index, private: PrivateStore) -> None:
        self._key, self._gate, self._index, self._private = key.encode(), gate, index, private

    def create(self, actor: Actor, via: str) -> str:
        """The words of a new token for this person. An earlier one ends."""
        words = " ".join(secrets.choice(known_words()) for _ in range(_WORDS))
        self._gate.submit(actor, CreateOneTimeToken(actor.name, self._digest(actor.name, words)), via)
        return words

    def use(self, person: str, words: str, backend: str) -> tuple[str, str]:
        """(the username of the person with this name or email address, who is now logged in; the commit). Uses the
        token up.

        Raises `Error` (forbidden).
        """
        directory = self._index.directory()
        for username in self.usernames(person):
            user = directory.user(username)
            digest = self._digest(username, words)
            token = user.one_time_token if user is not None else None
            if token is not None and hmac.compare_digest(token.sha256, digest):
                check_backend(directory, username, backend)
                actor = Actor(ActorKind.USER, username)
                written = self._gate.submit(actor, UseOneTimeToken(username, digest, backend), "http")
                return username, written.commit
        raise wrong_words()

    def usernames(self, person: str) -> list[str]:
        """Whom this name or email address may mean: several people may share an address."""
        return [person] if person in self._index.directory().users else self._private.usernames(person)

    def _digest(self, username: str, words: str) -> str:
        """Spaces, hyphens and upper case do not matter: people type the words from a phone or another screen."""
        plain = re.sub(r"[^a-z]", "", words.lower())
        return hmac.new(self._key, f"one-time-token/{username}/{plain}".encode(), hashlib.sha256).hexdigest()
