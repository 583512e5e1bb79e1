"""Requests in folders of other days than their identifiers say: found as if every folder were read."""

from datetime import UTC, date, datetime, timedelta

import pytest

from jobserver.domain.base import identifiers
from jobserver.domain.base.layout import Area, Place
from jobserver.domain.base.state import Change, Changes, Move
from jobserver.store.git import trees
from jobserver.store.read.other_days import OtherDays
from tests.site import job

DAY = date(2026, 11, 27)


def of(day: date, count: int = 1) -> list[str]:
    start = datetime(day.year, day.month, day.day, tzinfo=UTC)
    return [identifiers.request_id(identifiers.micros(start + timedelta(minutes=at)), at) for at in range(count)]


def raw(*names: str) -> bytes:
    entries = [trees.TreeEntry(trees.FOLDER, name.encode(), bytes(20)) for name in names]
    return b"".join(map(trees.encode, sorted(entries, key=trees.order)))


EARLIER, OWN, LATER = (of(DAY + timedelta(days=days), 20) for days in (-1, 0, 1))


@pytest.mark.parametrize("strange", [EARLIER[:1], LATER[-1:], [EARLIER[0], LATER[0]], LATER])
@pytest.mark.parametrize("own", [[], OWN[:1], OWN])
def test_what_is_in_the_folder_of_another_day(own: list[str], strange: list[str]) -> None:
    other_days = OtherDays([(Area.ARCHIVE, DAY, raw(*own, *strange))])
    assert [other_days.get(name) for name in strange] == [[Place(Area.ARCHIVE, DAY, name)] for name in strange]
    assert not any(other_days.get(name) for name in own)


def test_a_name_that_is_no_identifier_hides_nothing() -> None:
    for junk in ("0", "zzzzzzzzzzzzzzzzz", "40000 " + OWN[0], "0" * 16):
        other_days = OtherDays([(Area.ACTIVE, DAY, raw(*OWN, LATER[0], junk))])
        assert other_days.get(LATER[0]) == [Place(Area.ACTIVE, DAY, LATER[0])]


def test_a_request_in_two_folders_has_both_in_order() -> None:
    days = [(Area.ACTIVE, DAY, raw(LATER[0])), (Area.ARCHIVE, DAY, raw(*OWN, LATER[0]))]
    assert OtherDays(days).get(LATER[0]) == [Place(area, DAY, LATER[0]) for area in (Area.ACTIVE, Area.ARCHIVE)]


def test_a_day_that_no_identifier_can_say() -> None:
    far = date(9999, 1, 1)
    assert OtherDays([(Area.ARCHIVE, far, raw(*OWN))]).get(OWN[3]) == [Place(Area.ARCHIVE, far, OWN[3])]


def test_commits_that_change_them_have_them_read_again() -> None:
    here, elsewhere = Place(Area.ACTIVE, DAY, OWN[0]), Place(Area.ACTIVE, DAY, LATER[0])
    other_days = OtherDays([])

    def follows(*changed: Change, moves: tuple[Move, ...] = ()) -> bool:
        return other_days.follow(Changes("backends/tpp", "x", "", changed, moves))

    for place, is_followed in ((here, True), (elsewhere, False)):
        document = job("j", "running", 1)  # what it says does not matter
        assert follows(Change(place.request, None, document)) is is_followed
        assert follows(Change(place.request, document, None)) is is_followed
        assert follows(moves=(Move(place, Area.ARCHIVE),)) is is_followed
        assert follows(Change(place.request, document, document), Change(place.job("j"), None, document))
