"""Branches that went back, were rewritten or are gone since a checkpoint, and what is verified since one."""

from pathlib import Path

import pytest

from jobserver.audit.checkpoint import CheckpointLineage
from jobserver.audit.verify import verify
from jobserver.domain.base.permissions import SERVER
from jobserver.domain.base.state import Change, Changes
from jobserver.domain.record import Checkpoint
from jobserver.domain.users import AddUser
from jobserver.errors import Error
from tests.integration.audit.tampering import checkpoint, commit, illegal, move, problems
from tests.site import ADMIN, Site


def test_a_checkpoint_that_goes_back(site: Site) -> None:
    older, tip = site.git("rev-parse", "main~1", "main").split()
    before = site.repo.writer.read("audit", lambda state: state.checkpoint())
    assert before is not None
    for number, sha in ((2, older), (3, older)):
        after = Checkpoint(number=number, tips={"main": sha}, made_at=site.now)
        illegal(site, SERVER, Changes("audit", "tips.checkpointed", "x", (Change("checkpoint.yaml", before, after),)))
        before = after
    found = [line for line in problems(site).splitlines() if "has this tip, the one before it a later one" in line]
    assert len(found) == 1  # once, not again for each checkpoint after it
    assert tip not in found[0]


def test_a_branch_that_is_gone_and_one_that_was_rewritten_are_told_once(site: Site) -> None:
    site.ask()
    checkpoint(site)
    site.git("update-ref", "-d", "refs/heads/backends/emis")
    move(site, "backends/tpp", "backends/tpp~1")
    site.ask("generate")
    checkpoint(site)
    site.ask("generate")
    checkpoint(site)
    found = problems(site).splitlines()
    assert len([line for line in found if line.startswith("backends/emis")]) == 1
    assert len([line for line in found if "rolled back, forked or swapped" in line]) == 1


def test_a_checkpoint_names_every_branch_once_one_of_them_moved(site: Site) -> None:
    descent = CheckpointLineage(site.repo)
    assert descent.tips() == {}  # nothing new
    site.ask()
    assert set(descent.tips()) == {"main", "backends/tpp", "backends/emis"}
    audit = site.git("rev-parse", "audit").strip()
    site.git("update-ref", "-d", "refs/heads/audit")
    assert set(descent.tips()) == {"main", "backends/tpp", "backends/emis"}
    move(site, "audit", audit)
    old = site.git("rev-parse", "backends/emis").strip()
    site.git("update-ref", "-d", "refs/heads/backends/emis")
    assert descent.tips()["backends/emis"] == old
    assert descent.strayed == ["backends/emis"]


def test_a_branch_whose_old_tip_git_no_longer_has_has_strayed(site: Site) -> None:
    first = commit(site, "main", "main")
    move(site, "main", first)
    checkpoint(site)
    move(site, "main", f"{first}~1")
    site.do(ADMIN, AddUser("eve"))
    (site.path / "objects" / first[:2] / first[2:]).unlink()
    descent = CheckpointLineage(site.repo)
    assert descent.tips() == {}  # it stays where the last one saw it
    assert descent.strayed == ["main"]


def test_since_a_checkpoint_and_since_a_time_without_one(site: Site) -> None:
    opened = site.git("rev-list", "--max-parents=0", "audit").strip()
    everything = verify(site.path).commits
    assert verify(site.path, since=opened).commits == everything - 1  # nothing was checkpointed yet
    assert verify(site.path, since="audit").commits == 0
    site.ask()
    assert verify(site.path, since="audit").commits == 1
    site.git("update-ref", "-d", "refs/heads/backends/emis")
    assert "has this branch, which is gone" in problems(site, since="audit")
    with pytest.raises(Error, match="expected a commit of a branch of the record"):
        verify(site.path, since=commit(site, "main", "main"))


def test_a_repository_without_main_is_refused(site: Site) -> None:
    site.git("update-ref", "-d", "refs/heads/main")
    with pytest.raises(Error, match="has no branch main"):
        verify(site.path)


def test_a_witness_may_have_branches_of_its_own(site: Site, tmp_path: Path) -> None:
    witness = tmp_path / "witness"
    site.git("clone", "-q", "--mirror", str(site.path), str(witness))
    site.git("-C", str(witness), "branch", "mine", "main")
    assert verify(site.path, witness=witness).problems == []
