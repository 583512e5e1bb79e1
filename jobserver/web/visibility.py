"""What this server shows: the backends of the setting BACKENDS, and to whom, where LIMIT_READING is on."""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

from bottle import request

from jobserver.cache import Cache
from jobserver.domain.base.permissions import Actor, ActorKind
from jobserver.domain.governance.readers import knows_project, reads_everything, reads_workspace
from jobserver.domain.users import User
from jobserver.errors import forbidden, invalid
from jobserver.index import reader
from jobserver.index.directory import Directory
from jobserver.index.index import Index

_REMEMBERED = 200  # of the last readers


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


class Readers:
    """What each person may read: everything, or with LIMIT_READING their own projects. Thread-safe."""

    def __init__(self, is_limited: bool) -> None:
        self._is_limited = is_limited
        self._known = Cache[tuple[str | None, str], Directory](_REMEMBERED)

    def begin(self, actor: Actor | None, is_open: bool = False) -> None:
        """Everything that this request reads from the index is what this caller may see; None: anybody.

        A backend's token leads to the requests of that backend only, and to all of these. An open endpoint shows
        nothing of projects, or asks itself who calls.
        """
        is_limited = self._is_limited and not is_open and (actor is None or actor.kind is ActorKind.USER)
        reader.begin(partial(self._seen, actor.name if actor is not None else "") if is_limited else None)

    def reads_everything(self, user: User | None) -> bool:
        return not self._is_limited or reads_everything(user)

    def _seen(self, username: str, directory: Directory) -> Directory:
        user = directory.user(username)
        if reads_everything(user):
            return directory
        place = directory.tip, username
        known = self._known.get(place)
        if known is None:
            projects, workspaces = directory.projects.items(), directory.workspaces.items()
            known = replace(
                directory,
                projects={name: project for name, project in projects if knows_project(directory, user, project)},
                workspaces={name: space for name, space in workspaces if reads_workspace(directory, user, space)},
            )
            self._known.put(place, known)
        return known
