"""What the API's endpoints share: which backends are visible, who is a person, and idempotency keys."""

from collections.abc import Sequence

from bottle import request

from jobserver.domain.base.permissions import Actor, ActorKind
from jobserver.errors import forbidden, invalid
from jobserver.index.index import Index
from jobserver.service.writes.idempotency import Key, Ledger
from jobserver.web import http


class Visible:
    """The backends that this server shows: all, or those that the setting BACKENDS names."""

    def __init__(self, index: Index, limit: Sequence[str]) -> None:
        self._index, self._limit = index, frozenset(limit)

    def slugs(self) -> Sequence[str]:
        return [slug for slug in self._index.directory().backends if not self._limit or slug in self._limit]

    def chosen(self, actor: Actor) -> tuple[Sequence[str], bool]:
        """(the backends that ``?backend=`` leaves of those that the caller sees, whether it or the token named one).

        Raises `Error`: forbidden if another one's token asks, invalid if there is none of this name.
        """
        wanted = request.query.getunicode("backend") or ""
        if actor.kind is ActorKind.BACKEND:
            if wanted not in ("", actor.name):
                raise forbidden(f"this token is of backend {actor.name}, not of {wanted}")
            return (actor.name,), True
        slugs = self.slugs()
        if wanted and wanted not in slugs:
            raise invalid(f"there is no backend {wanted!r}", "backend")
        return ([wanted], True) if wanted else (slugs, False)


def person(actor: Actor) -> None:
    """Raises `Error` (forbidden) for a backend."""
    if actor.kind is not ActorKind.USER:
        raise forbidden("this needs a person's token, not a backend's")


class Keys:
    """Idempotency keys, looked at before the body is: one that was used with another says so, whatever this one is."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def of(self, actor: Actor, body: bytes) -> Key | None:
        """From the request's header, if it has one.

        Raises `Error`: invalid for one that can't be a key, conflict for one that was used with another body.
        """
        given = http.header("Idempotency-Key")
        if given is None:
            return None
        given = given.strip()
        if not 1 <= len(given) <= 255 or not given.isascii() or not given.isprintable():
            raise invalid("expected 1 to 255 printable ASCII characters", "Idempotency-Key")
        key = Key.of(actor, request.method, request.path, given, body)
        self._ledger.find(key)
        return key
