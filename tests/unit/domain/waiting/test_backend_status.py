"""What a runner sent of itself, in words."""

from datetime import UTC, datetime, timedelta

from jobserver.domain.backends import Backend
from jobserver.domain.waiting.backend_status import BackendContact, backend_status, flags

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
TPP = Backend(slug="tpp", name="TPP", created_at=NOW - timedelta(days=9))


def test_flags_have_their_time() -> None:
    raised: dict[str, dict[str, object]] = {
        "paused": {"v": "true", "ts": "2026-11-24T10:00:00Z"},
        "mode": {"v": "", "ts": None},
        "manual-db-maintenance": {"v": "on", "ts": "nonsense"},
    }
    paused, maintenance = flags(raised)
    assert (paused.state, paused.since) == ("Paused", NOW - timedelta(hours=2))
    assert (maintenance.state, maintenance.since) == ("In manual database maintenance", None)


def test_requests_that_a_runner_refuses_are_a_flag() -> None:
    raised: dict[str, dict[str, object]] = {"refusing": {"v": "aaa bbb", "ts": "2026-11-24T10:00:00Z"}}
    assert flags(raised)[0].state == "Refusing some requests"


def test_a_runner_names_the_requests_that_it_refuses() -> None:
    some = backend_status(TPP, BackendContact(NOW, {"refusing": {"v": "aaa bbb", "ts": None}}), NOW)
    assert some.refuses("aaa")
    assert not some.refuses("aa")
    assert not backend_status(TPP, BackendContact(NOW, {"refusing": {"v": None, "ts": None}}), NOW).refuses("aaa")
    assert backend_status(TPP, BackendContact(NOW, {"refusing": {"v": "backends/tpp", "ts": None}}), NOW).refuses("ccc")
