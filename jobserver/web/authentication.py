"""Who calls the API or git: a token, or a person's session. Wrong tokens from one address are slowed down.

While an address is slowed down, only tokens that were right from there before still work: so a stranger behind the
same proxy locks nobody out, and whoever guesses learns nothing.
"""

import threading
from collections import OrderedDict

from bottle import request

from jobserver.domain.base.permissions import Actor, ActorKind
from jobserver.errors import Code, Error, forbidden, too_many
from jobserver.service.accounts.tokens import token_digest
from jobserver.web import http
from jobserver.web.clients import Limit
from jobserver.web.services import Services

_GUESSES = 100  # a minute, from one address
_REMEMBERED = 10_000


class Callers:
    """Thread-safe."""

    def __init__(self, services: Services) -> None:
        self._services, self._auth, self._live = services, services.auth, services.live
        self._limit = Limit(_GUESSES, 60)
        self._guard = threading.Lock()
        self._known: OrderedDict[tuple[str, str], None] = OrderedDict()

    def of_api(self) -> Actor:
        """Raises `Error`: unauthenticated, too_many, or forbidden for a form of another site, or who has left."""
        header = http.header("Authorization")
        if header is None and (actor := self._by_session()) is not None:
            self._check_origin()
            return _known(actor)
        return self._by_token(self._auth.token_of(header), http.header("Flags"))

    def again(self) -> Actor:
        """Who the caller of `of_api` is now, before an answer goes out that was held back. Raises as that does."""
        header = http.header("Authorization")
        if header is None and (actor := self._by_session()) is not None:
            return actor
        return self._auth.token_holder(token_digest(self._auth.token_of(header)))

    def _by_session(self) -> Actor | None:
        session = self._services.sessions.current()
        return Actor(ActorKind.USER, session.username) if session is not None else None

    def of_git(self, password: str) -> Actor:
        """Raises as `of_api`."""
        return self._by_token(password, http.header("Flags"))

    def _by_token(self, token: str, flags: str | None) -> Actor:
        who = self._services.client()
        digest = token_digest(token)
        place = who, digest
        seconds = self._limit.wait(who)
        if seconds and place not in self._known:
            raise too_many(f"too many invalid tokens from {who}", seconds)
        try:
            actor = self._auth.token_holder(digest)
        except Error as error:
            if error.code is Code.UNAUTHENTICATED:
                self._limit.failed(who)
            raise
        if place not in self._known:
            with self._guard:
                self._known[place] = None
                if len(self._known) > _REMEMBERED:
                    self._known.popitem(last=False)
        if actor.kind is ActorKind.BACKEND:
            self._live.record_call(actor.name, flags)
        else:
            self._live.record_token_use(digest)
        return _known(actor)

    def _check_origin(self) -> None:
        """A browser sends cookies along with what other sites make it ask for; then it says from where."""
        if request.method in ("GET", "HEAD"):
            return
        if http.header("Sec-Fetch-Site") != "same-origin" and http.header("Origin") not in http.origins(
            self._services.options.base_url
        ):
            raise forbidden("with a session this has to come from a page of ours; elsewhere use a token")


def _known(actor: Actor) -> Actor:
    request.environ[http.CALLER] = str(actor)
    return actor
