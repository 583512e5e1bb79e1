"""Who calls the API or git: by a token, or by a person's session.

An address that sends many wrong tokens is refused for a while, except with tokens that it has used before. So a
stranger behind the same proxy locks nobody out, and guessing reveals nothing.
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
        """Raises `Error`: unauthenticated, too_many, or forbidden for another site's form or a person who left."""
        header = http.header("Authorization")
        if header is None and (actor := self._by_session()) is not None:
            self._check_origin()
            return _known(actor)
        return self._by_token(self._auth.token_of(header), http.header("Flags"))

    def again(self) -> Actor:
        """The caller of `of_api`, checked again before a held answer goes out. Raises as `of_api`."""
        header = http.header("Authorization")
        if header is None and (actor := self._by_session()) is not None:
            return actor
        return self._auth.token_holder(token_digest(self._auth.token_of(header)))

    def _by_session(self) -> Actor | None:
        session = self._services.sessions.current()
        return Actor(ActorKind.USER, session.username) if session is not None else None

    def of_git(self, password: str) -> Actor:
        """The caller with this token as the password. Raises as `of_api`."""
        return self._by_token(password, http.header("Flags"))

    def _by_token(self, token: str, flags: str | None) -> Actor:
        client = self._services.client()
        digest = token_digest(token)
        place = client, digest
        seconds = self._limit.wait(client)
        if seconds and place not in self._known:
            raise too_many(f"Too many invalid tokens from {client}", seconds)
        try:
            actor = self._auth.token_holder(digest)
        except Error as error:
            if error.code is Code.UNAUTHENTICATED:
                self._limit.failed(client)
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
        """A browser sends our cookies even with another site's form, but says where the form came from."""
        if request.method in ("GET", "HEAD"):
            return
        if http.header("Sec-Fetch-Site") != "same-origin" and http.header("Origin") not in http.origins(
            self._services.options.base_url
        ):
            raise forbidden("With a session, this works only from a page of this site. Use a token instead")


def _known(actor: Actor) -> Actor:
    http.know_caller(actor)
    return actor
