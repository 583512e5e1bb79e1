"""The backends that this server shows: all, or those of the setting BACKENDS."""

from collections.abc import Sequence

from bottle import request

from jobserver.domain.base.permissions import Actor, ActorKind
from jobserver.errors import forbidden, invalid
from jobserver.index.index import Index


class VisibleBackends:
    """``limit`` are the slugs of BACKENDS; empty for all."""

    def __init__(self, index: Index, limit: Sequence[str]) -> None:
        self._index, self._limit = index, frozenset(limit)

    def slugs(self) -> Sequence[str]:
        return [slug for slug in self._index.directory().backends if not self._limit or slug in self._limit]

    def require(self, slug: str) -> None:
        """Raises `Error` (invalid) for a backend that does not exist, or that this server does not show."""
        if slug not in self.slugs():
            raise invalid(f"Backend {slug} does not exist", "backend")

    def chosen(self, actor: Actor) -> tuple[Sequence[str], bool]:
        """(the caller's backends, only that of ``?backend=`` if it is given; whether this or the token names one).

        Raises `Error`: forbidden if a backend's token asks for another backend, invalid if it does not exist.
        """
        slug = request.query.getunicode("backend") or ""
        if actor.kind is ActorKind.BACKEND:
            if slug not in ("", actor.name):
                raise forbidden(f"This token belongs to backend {actor.name}, not to {slug}")
            return (actor.name,), True
        if slug:
            self.require(slug)
            return [slug], True
        return self.slugs(), False
