"""What a server looks at after others moved a branch: the writer is asked only where there is something to move."""

import threading
from pathlib import Path

import pytest

from jobserver.audit.checkpoint import CheckpointLineage
from jobserver.audit.verify import verify
from jobserver.domain.base.permissions import SERVER, Actor
from jobserver.domain.job_requests.requests import ArchiveFinished
from jobserver.domain.plan import Command
from jobserver.domain.record import RecordCheckpoint
from jobserver.service.background.archiver import Archiver
from jobserver.service.background.checkpointer import Checkpointer
from jobserver.service.writes.gate import Gate
from jobserver.store.repo import StateRepo
from jobserver.store.write.submission import WriteResult
from tests.e2e.harness import until
from tests.site import TEMPLATES, Seeded, Site, job


class Counted(Gate):
    """Another server's."""

    asked = 0  # and answered

    def submit(self, actor: Actor, command: Command, via: str, key: object = None) -> WriteResult:
        result = super().submit(actor, command, via)
        self.asked += isinstance(command, ArchiveFinished)
        return result


@pytest.mark.parametrize("is_unmoved", [False, True])
def test_the_writer_is_asked_only_for_what_a_push_finished(tmp_path: Path, is_unmoved: bool) -> None:
    """Found: each server planned over all active requests, in the writer's turn, for each report to another one."""
    site = Site(tmp_path)
    repo = StateRepo(site.path, site.key, "jobs.example", TEMPLATES)
    gate = Counted(repo, site.clock, Seeded(2))
    looked: list[str] = []

    def unmoved(branch: str) -> bool:
        looked.append(branch)
        return is_unmoved

    archiver = Archiver(repo, gate, unmoved)
    archiver.start()
    identifier = site.ask()
    site.report((identifier, job("j1", "running", 1)))
    archiver.wake()
    until(lambda: "backends/tpp" in looked and (gate.asked > 0 or not is_unmoved))
    count = len(looked)
    site.report((identifier, job("j1", "succeeded", 2)))  # which archives it
    archiver.wake()
    until(lambda: len(looked) > count)
    archiver.close()
    assert (gate.asked > 0) is is_unmoved
    assert any(path.startswith("archive/") for path in site.files())
    for one in (gate, site.gate, repo, site.repo):
        one.close()


def test_the_servers_own_reports_are_nothing_to_look_at(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """Found: while reports came, a tip was an older one by the time it was compared, and the index wrote its rows."""
    identifier = site.ask()
    seen = site.repo.writer.refs.branches()
    looked: list[str] = []

    def branches() -> dict[str, str]:
        site.report((identifier, job("j1", "running", 1)))
        reported.set()
        return seen

    reported = threading.Event()
    monkeypatch.setattr(site.repo.writer.refs, "branches", branches)
    archiver = Archiver(site.repo, site.gate, lambda branch: bool(looked.append(branch)))
    archiver.start()
    reported.wait()
    archiver.close()
    assert looked == []


def test_a_checkpoint_never_says_less_than_the_one_before(tmp_path: Path) -> None:
    """Found: between one server's look at the tips and its turn to write, another one wrote a checkpoint of later tips.

    The first one's was written after it all the same, and `audit verify` called every branch in it rolled back.
    """
    site = Site(tmp_path)
    descent = CheckpointLineage(site.repo)
    site.ask()
    early, after = descent.tips(), descent.last
    site.ask()
    other = Checkpointer(site.repo, site.gate)
    assert other.checkpoint()
    assert not site.do(SERVER, RecordCheckpoint(early, after)).changed
    site.ask()
    assert other.checkpoint()
    assert not other.checkpoint()
    assert not verify(site.path).problems
    site.gate.close()
    site.repo.close()
