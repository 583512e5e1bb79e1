"""Who calls the API or git, by a token or by a person's session, and whether the token's scope is enough.

An address that sends many wrong tokens is refused for a while, except with tokens that it has used before. So a
stranger behind the same proxy locks nobody out, and guessing reveals nothing.
"""

from bottle import request

from jobserver.cache import Cache
from jobserver.domain.base.permissions import Actor, ActorKind
from jobserver.domain.base.values import timestamp
from jobserver.domain.tokens import Scope
from jobserver.errors import Code, Error, forbidden, too_many, unauthenticated
from jobserver.service.accounts.tokens import TokenHolder, token_digest
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
        self._known = Cache[tuple[str, str], bool](_REMEMBERED)

    def of_api(self, needed: Scope = Scope.READ) -> Actor:
        """The caller, whose token must have the ``needed`` scope. A session needs none.

        Raises `Error`: unauthenticated, too_many, or forbidden for a smaller scope, another site's form or a person who
        left.
        """
        header = http.header("Authorization")
        if header is None and (actor := self._by_session()) is not None:
            self._check_origin()
            return _known(TokenHolder(actor))
        return self._by_header(header, needed)

    def again(self) -> Actor:
        """The caller of `of_api`, checked again before a held answer goes out. Raises as `of_api`."""
        header = http.header("Authorization")
        if header is None and (actor := self._by_session()) is not None:
            return actor
        token = self._auth.token_of(header).rpartition(":")[2]
        return self._auth.token_holder(token_digest(token)).actor

    def _by_header(self, header: str | None, needed: Scope) -> Actor:
        """The caller with this token, or with ``name:token``, as job-server's scripts send it."""
        name, colon, token = self._auth.token_of(header).rpartition(":")
        actor = self._by_token(token, needed)
        if colon and actor != Actor(ActorKind.USER, name):
            raise unauthenticated("Invalid token")
        return actor

    def _by_session(self) -> Actor | None:
        session = self._services.sessions.current()
        return Actor(ActorKind.USER, session.username) if session is not None else None

    def of_git(self, password: str, needed: Scope) -> Actor:
        """The caller with this token as the password. Raises as `of_api`."""
        return self._by_token(password, needed)

    def _by_token(self, token: str, needed: Scope) -> Actor:
        client = self._services.client()
        digest = token_digest(token)
        place = client, digest
        seconds = self._limit.wait(client)
        if seconds and place not in self._known:
            raise too_many(f"Too many invalid tokens from {client}", seconds)
        try:
            holder = self._auth.token_holder(digest, needed)
        except Error as error:
            if error.code is Code.UNAUTHENTICATED:
                self._limit.failed(client)
            raise
        if place not in self._known:
            self._known.put(place, True)
        actor = holder.actor
        if actor.kind is ActorKind.BACKEND:
            self._live.record_call(actor.name, http.header("Flags"), http.header("Current-Mode"))
        else:
            self._live.record_token_use(digest)
        return _known(holder)

    def _check_origin(self) -> None:
        """A browser sends our cookies even with another site's form, but says where the form came from."""
        if request.method in ("GET", "HEAD"):
            return
        if http.header("Sec-Fetch-Site") != "same-origin" and http.header("Origin") not in http.origins(
            self._services.options.base_url
        ):
            raise forbidden("With a session, this works only from a page of this site. Use a token instead")


def _known(holder: TokenHolder) -> Actor:
    http.know_caller(holder.actor)
    if holder.expires_at is not None:
        request.environ[http.TOKEN_EXPIRES] = timestamp(holder.expires_at)
    return holder.actor
