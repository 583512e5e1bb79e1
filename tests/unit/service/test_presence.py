"""What runners tell of themselves, in memory and as it outlives the process."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from jobserver.domain.backends import Backend
from jobserver.domain.waiting.backend_status import backend_status, flags
from jobserver.service.accounts.private_store import PrivateStore
from jobserver.service.presence import Presence

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
NESTED = "[" * 300 + "]" * 300
TPP = Backend(slug="tpp", name="TPP", created_at=NOW)


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ('{"paused": {"v": true, "ts": "2026-11-24T10:00:00+01:00"}}', "2026-11-24T09:00:00.000000Z"),
        ('{"paused": {"v": "on", "ts": "2026-11-24T10:00:00"}}', "2026-11-24T10:00:00.000000Z"),
        ('{"paused": {"v": "on", "ts": "0001-01-01T00:00:00+23:59"}}', None),
        ('{"paused": {"v": "on", "ts": "9999-12-31T23:59:59-23:59"}}', None),
        (f'{{"paused": {{"v": "on", "ts": {NESTED}}}}}', None),
        ('{"paused": {"v": 1, "ts": 7}}', None),
        ('{"paused": {"v": "on"}}', None),
    ],
)
def test_the_time_of_a_flag_is_one_or_none(tmp_path: Path, sent: str, kept: str | None) -> None:
    private = PrivateStore(tmp_path / "private")
    Presence(lambda: NOW, private).record_call("tpp", sent)
    seen = Presence(lambda: NOW, private).contacts()["tpp"]  # after a restart
    assert seen.flags["paused"]["ts"] == kept
    (flag,) = flags(seen.flags)
    assert (flag.since is not None) is (kept is not None)
    assert backend_status(TPP, seen, NOW).label == "Online with limits"
    private.close()


@pytest.mark.parametrize(
    "sent",
    ["", "nonsense", "[]", '{"a": 1}', '{"a": {}}', f'{{"a": {{"v": {NESTED}}}}}', f'{{"a": {NESTED}}}', "x" * 20_000],
)
def test_flags_that_make_no_sense_leave_those_before(sent: str) -> None:
    live = Presence(lambda: NOW)
    live.record_call("tpp", '{"paused": {"v": "on", "ts": null}}')
    live.record_call("tpp", sent)
    assert list(live.contacts()["tpp"].flags) == ["paused"]


def test_the_mode_of_a_runner_of_2022_is_a_flag_with_its_beginning() -> None:
    live = Presence(iter([NOW, NOW.replace(minute=1), NOW.replace(minute=2), NOW.replace(minute=3)]).__next__)
    for mode in ("None", "db-maintenance", "db-maintenance"):
        live.record_call("tpp", None, mode)
    assert live.contacts()["tpp"].flags == {"mode": {"v": "db-maintenance", "ts": "2026-11-24T12:01:00.000000Z"}}
    live.record_call("tpp", None, "None")
    assert backend_status(TPP, live.contacts()["tpp"], NOW).label == "Online"


@pytest.mark.parametrize("mode", ["", "x" * 20_000, "\xff\xfe", '{"a": 1}'])
def test_an_odd_mode_is_shortened_text_that_limits_nothing_else(tmp_path: Path, mode: str) -> None:
    private = PrivateStore(tmp_path / "private")
    live = Presence(lambda: NOW, private)
    live.record_call("tpp", '{"paused": {"v": "on", "ts": null}}')
    live.record_call("tpp", None, mode)
    for seen in (live, Presence(lambda: NOW, private)):
        contact = seen.contacts()["tpp"]
        assert len(str(contact.flags["mode"]["v"])) <= 100
        assert contact.flags["paused"]["v"] == "on"
    private.close()


@pytest.mark.parametrize("stored", ['{"paused": {"v": "on", "ts": "0001-01-01T00:00:00+23:59"}}', "[]", "{"])
def test_flags_that_an_older_server_stored_are_checked_again(tmp_path: Path, stored: str) -> None:
    private = PrivateStore(tmp_path / "private")
    private.heard("tpp", int(NOW.timestamp()), stored)
    seen = Presence(lambda: NOW, private).contacts()["tpp"]
    assert backend_status(TPP, seen, NOW).last_seen == NOW
    private.close()


def test_two_runners_are_named_for_a_day() -> None:
    live = Presence(lambda: NOW)
    live.record_report("tpp", timedelta(), ["aaq5k3v7m2xw4c6d"])
    live.record_report("tpp", timedelta(hours=2), [])
    live.record_call("tpp", None)
    found = backend_status(TPP, live.contacts()["tpp"], NOW)
    assert (found.clock_ahead, found.run_twice) == ("2 hours", ("aaq5k3v7m2xw4c6d", NOW))
    assert backend_status(TPP, live.contacts()["tpp"], NOW + timedelta(days=1)).run_twice is None
    live.record_report("tpp", timedelta(), [])
    assert backend_status(TPP, live.contacts()["tpp"], NOW).clock_ahead == ""
