"""The server maintains its repository when it is due, and only then."""

import os
import time

import pytest

from jobserver.service.background import maintenance
from jobserver.service.background.maintenance import Maintenance
from jobserver.store.write import compactor
from tests.e2e.harness import until
from tests.samples import size
from tests.site import Site

PACKS = size(30, 200)  # more than the last maintenance left


def test_maintenance_is_due_after_an_hour(site: Site) -> None:
    repo = site.repo
    upkeep = Maintenance(repo)
    repo.maintain()
    assert not upkeep.is_due()
    an_hour_ago = time.time() - 3700
    os.utime(repo.path / "jobserver.maintenance", (an_hour_ago, an_hour_ago))
    assert upkeep.is_due()
    repo.maintain()
    assert not upkeep.is_due()


def test_packs_that_nobody_joins_are_joined(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each command of the command line leaves a pack, and ends before it could join any."""
    monkeypatch.setattr(compactor, "_PACKS_TO_JOIN", 1000)
    monkeypatch.setattr(maintenance, "_PACKS", PACKS)
    repo = site.repo
    upkeep = Maintenance(repo, 0.01)
    for number in range(PACKS + 10):
        repo.writer.commit_files("main", {"README.md": f"{number}\n".encode()}, "a change", "branch.opened", site.now)
    before = site.git("rev-parse", "main")
    assert upkeep.is_due()
    upkeep.start()
    until(lambda: repo.pack_count() < 20)
    upkeep.close()
    assert not upkeep.is_due()
    assert site.git("rev-parse", "main") == before
    assert site.git("fsck", "--full", "--strict", "--no-dangling") == ""
