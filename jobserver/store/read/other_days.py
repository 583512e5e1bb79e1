"""Which job requests of one branch are not in the folder of the day that their identifiers say: those of an import or a
push, and those that jobserver made while its clock went back over midnight.

Follows the commits, so that a new request need not be looked for in every day of the history.
"""

from collections.abc import Iterable, Sequence
from datetime import date

from jobserver.domain.base import identifiers, layout
from jobserver.domain.base.layout import Area, Kind, Place
from jobserver.domain.base.state import Changes
from jobserver.store.git import trees


class OtherDays:
    def __init__(self, days: Iterable[tuple[Area, date, bytes]]) -> None:
        """``days``: the raw tree of each day's folder."""
        self._places: dict[str, list[Place]] = {}
        for area, day, raw in days:
            ends = trees.ends(raw)
            # Identifiers are in the order of their days, so the first and the last one speak for all.
            if ends is not None and all(_is_of(name.decode(errors="replace"), day) for name in ends):
                continue
            for entry in trees.entries(raw):
                name = entry.name.decode(errors="replace")
                if not _is_of(name, day):
                    self._places.setdefault(name, []).append(Place(area, day, name))

    def get(self, identifier: str) -> Sequence[Place]:
        """The folders of other days than the identifier says that the request has."""
        return self._places.get(identifier, ())

    def follow(self, changes: Changes) -> bool:
        """False if they have to be read again: a request is created, moved or deleted in the folder of another day."""
        places = [move.place for move in changes.moves]
        for change in changes.changes:
            if change.before is None or change.after is None:
                where = layout.parse_path(changes.branch, change.path)
                if where is not None and where.place is not None and where.kind is Kind.REQUEST:
                    places.append(where.place)
        return all(_is_of(place.identifier, place.day) for place in places)


def _is_of(name: str, day: date) -> bool:
    return identifiers.is_request_id(name) and identifiers.request_day(name) == day
