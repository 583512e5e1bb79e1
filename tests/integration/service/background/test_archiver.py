"""What a server looks at after others moved a branch: the writer is asked only where there is something to move."""

from collections.abc import Callable
from pathlib import Path

import pytest

from jobserver.audit.checkpoint import CheckpointLineage
from jobserver.audit.verify import verify
from jobserver.domain.base.permissions import SERVER, Actor
from jobserver.domain.job_requests.jobs import UpdateJobs
from jobserver.domain.job_requests.requests import ArchiveFinished
from jobserver.domain.plan import Command
from jobserver.domain.record import RecordCheckpoint
from jobserver.service.background.archiver import Archiver
from jobserver.service.background.checkpointer import Checkpointer
from jobserver.service.writes.gate import Gate
from jobserver.store.repo import StateRepo
from jobserver.store.write.submission import WriteResult
from tests.e2e.harness import until
from tests.site import TEMPLATES, TPP, Seeded, Site, job


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
    looks = looks_beside(site, monkeypatch, lambda: site.report((identifier, job("j1", "running", 1))))
    assert looks == [1, 1]  # the first one is that of a start


def test_a_push_is_looked_at_also_below_a_report_to_this_server(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Found: a report that landed between a push and the look hid the push, whose requests stayed unarchived."""
    first, second = site.ask(), site.ask()
    other = StateRepo(site.path, site.key, "jobs.example", TEMPLATES)
    pushes = Gate(other, site.clock, Seeded(2))

    def both() -> None:
        pushes.submit(TPP, UpdateJobs("tpp", ((first, job("j1", "running", 1)),)), "test")
        site.report((second, job("j2", "running", 1)))

    assert looks_beside(site, monkeypatch, both) == [1, 2]
    pushes.close()
    other.close()


def looks_beside(site: Site, monkeypatch: pytest.MonkeyPatch, write: Callable[[], object]) -> list[int]:
    """How often an archiver had looked at the backend's branch: before and after ``write`` ran at the moment when it
    knew that something had moved, and not yet what."""
    branches = site.repo.writer.refs.branches
    looked: list[str] = []
    looks: list[int] = []

    def moving() -> dict[str, str]:
        seen = branches()
        if len(looks) == 1:
            write()
        looks.append(len(looked))
        return seen

    monkeypatch.setattr(site.repo.writer.refs, "branches", moving)
    archiver = Archiver(site.repo, site.gate, lambda branch: bool(looked.append(branch)))
    archiver.start()
    until(lambda: archiver.wake() or len(looks) > 2)  # type: ignore[func-returns-value]
    archiver.close()
    return looks[1:3]


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
