"""Readings reach the record some minutes after they were reported, in one commit of a backend."""

from datetime import timedelta

import pytest

from jobserver.audit.verify import verify
from jobserver.domain.backends import DeactivateBackend
from jobserver.errors import unavailable
from jobserver.service.background.recorder import Recorder
from jobserver.service.readings import Readings
from tests.site import ADMIN, Site, job

MINUTES = 5


@pytest.fixture
def readings(site: Site) -> Readings:
    made = Readings(site.clock)
    site.gate.hear = made.hear
    return made


def commits(site: Site) -> list[str]:
    return site.git("log", "--format=%s", "backends/tpp").splitlines()


def test_readings_are_recorded_once_in_some_minutes(site: Site, readings: Readings) -> None:
    recorder = Recorder(readings, site.gate, MINUTES)
    first, second = site.ask(), site.ask("generate")
    site.report((first, job("a", "running", 0)), (second, job("b", "running", 0)))
    before = len(commits(site))
    for minute in range(1, 12):
        site.report((first, job("a", "running", minute)), (second, job("b", "running", minute)))
        site.now += timedelta(minutes=1)
        recorder.record_due()
    assert commits(site)[: len(commits(site)) - before] == ["tpp reported readings of generate, generate"] * 2
    newest = site.git("show", f"backends/tpp:{next(path for path in site.files() if path.endswith('/a.yaml'))}")
    assert "updated_at: 2026-11-24T07:10:00" in newest
    assert verify(site.path).problems == []


def test_a_backend_that_may_not_report_any_more_is_not_asked_again(site: Site, readings: Readings) -> None:
    identifier = site.ask()
    site.report((identifier, job("a", "running", 0)))
    site.report((identifier, job("a", "running", 1)))
    site.do(ADMIN, DeactivateBackend("tpp"))
    site.now += timedelta(minutes=MINUTES)
    before = commits(site)
    Recorder(readings, site.gate, MINUTES).record_due()
    assert (readings.due(timedelta()), commits(site)) == ([], before)


def test_readings_wait_for_a_disk_that_is_full(site: Site, readings: Readings, monkeypatch: pytest.MonkeyPatch) -> None:
    identifier = site.ask()
    site.report((identifier, job("a", "running", 0)))
    site.report((identifier, job("a", "running", 1)))
    site.now += timedelta(minutes=MINUTES)
    recorder = Recorder(readings, site.gate, MINUTES)

    def full(*_: object) -> None:
        raise unavailable("no space")

    with monkeypatch.context() as broken:
        broken.setattr(site.gate, "submit", full)
        recorder.record_due()
    assert len(readings.due(timedelta())) == 1
    recorder.record_due()
    assert commits(site)[0] == "tpp reported readings of generate"
