"""What stands in for the objects and refs that git names: none of it hides anything from a verification."""

import hashlib
import shutil
from contextlib import closing
from pathlib import Path

import pytest

from jobserver.audit.verify import verify
from jobserver.errors import Error
from jobserver.store.repo import StateRepo
from tests.integration.audit.tampering import checkpoint, commit, move, plant, problems, unpack
from tests.site import TEMPLATES, Site, job


@pytest.fixture
def failed(site: Site) -> str:
    """The path of a job's document that says running."""
    site.report((site.ask(), job("a", "running", 1)))
    checkpoint(site)
    return next(path for path in site.files() if "/jobs/" in path)


@pytest.mark.parametrize("fast", [False, True])
def test_an_object_under_the_id_of_another(site: Site, failed: str, fast: bool) -> None:
    blob = site.git("rev-parse", f"backends/tpp:{failed}").strip()
    data = site.git("cat-file", "blob", blob).encode()
    unpack(site)
    plant(site, blob, data.replace(b"running", b"failed"))
    assert blob[2:] in problems(site, fast=fast)


def test_a_second_copy_of_an_object_that_says_something_else(site: Site, failed: str) -> None:
    """Which of them is read is by chance: git looks into packs first."""
    blob = site.git("rev-parse", f"backends/tpp:{failed}").strip()
    plant(site, blob, b"status: failed\n")
    assert blob[2:] in problems(site)


def test_a_file_that_is_no_document_is_hashed_too(site: Site) -> None:
    blob = site.git("rev-parse", "main:README.md").strip()
    unpack(site)
    plant(site, blob, b"Send your token to me.\n")
    assert blob[2:] in problems(site)


def test_an_object_under_anothers_id_is_not_read(site: Site, failed: str) -> None:
    """Nothing of it reaches a page, an index or a decision either."""
    identifier = failed.split("/")[2]
    blob = site.git("rev-parse", f"backends/tpp:{failed.rpartition('/jobs/')[0]}/request.yaml").strip()
    data = site.git("cat-file", "blob", blob).encode()
    unpack(site)
    plant(site, blob, data.replace(b"alice", b"mallo"))
    repo = StateRepo(site.path, site.key, "jobs.example", TEMPLATES)
    with closing(repo), pytest.raises(Error, match="is another object"):
        repo.writer.read("backends/tpp", lambda state: state.find(identifier))


def test_replace_refs_neither_help_nor_pass(site: Site) -> None:
    honest = site.git("rev-parse", "main").strip()
    forged = commit(site, "main", "main~1")
    move(site, "main", forged)
    site.git("replace", forged, honest)
    found = problems(site)
    assert f"main {forged[:10]}: is not signed" in found
    assert f"refs/replace/{forged}" in found


def test_grafts_and_shallow_lines_neither_help_nor_pass(site: Site) -> None:
    commits = verify(site.path).commits
    tip, before = site.git("rev-parse", "main", "main~2").split()
    (site.path / "info").mkdir(exist_ok=True)
    (site.path / "info" / "grafts").write_text(f"{tip} {before}\n")
    (site.path / "shallow").write_text(f"{before}\n")
    found = verify(site.path)
    assert sorted(one.branch for one in found.problems) == ["info/grafts", "shallow"]
    assert found.commits == commits


def test_settings_of_the_repository_change_nothing(site: Site) -> None:
    commits = verify(site.path).commits
    for name, value in (("log.showSignature", "true"), ("core.abbrev", "4"), ("remote.origin.promisor", "true")):
        site.git("config", name, value)
    assert verify(site.path).commits == commits
    assert problems(site) == ""


def test_a_commit_graph_that_lies(site: Site) -> None:
    site.git("commit-graph", "write", "--reachable")
    (graph,) = (site.path / "objects" / "info").glob("commit-graph")
    raw = bytearray(graph.read_bytes())
    tip = bytes.fromhex(site.git("rev-parse", "main^{tree}").strip())
    at = raw.index(tip)
    raw[at : at + 20] = bytes.fromhex(site.git("rev-parse", "main~1^{tree}").strip())
    raw[-20:] = hashlib.sha1(raw[:-20]).digest()
    graph.chmod(0o644)
    graph.write_bytes(raw)
    assert "commit-graph" in problems(site)
    assert problems(site, fast=True) == ""  # nothing that is read comes from it


def test_a_branch_that_stands_twice(site: Site) -> None:
    site.git("pack-refs", "--all")
    packed = site.path / "packed-refs"
    older, tip = site.git("rev-parse", "main~1", "main").split()
    packed.write_text(packed.read_text().replace(f"{tip} refs", f"{older} refs/heads/main\n{tip} refs"))
    assert "refs/heads/main" in problems(site)
    assert "is 2 times in packed-refs" in problems(site)


def test_another_repository_in_place_of_this_one(site: Site, tmp_path: Path) -> None:
    shutil.copytree(site.path, tmp_path / "other.git")
    (site.path / "commondir").write_text("../other.git\n")
    assert "commondir: makes git read another repository" in problems(site)


@pytest.mark.parametrize(
    "ref", ["refs/tags/v1", "refs/pull/1/head", "refs/notes/commits", "refs/stash", "refs/heads/v1"]
)
def test_every_ref_that_should_not_be_is_named(site: Site, ref: str) -> None:
    site.git("update-ref", ref, "main")
    assert f"{ref} " in problems(site)


def test_a_branch_that_is_another_name_and_a_head_that_is_a_commit(site: Site) -> None:
    site.git("update-ref", "-d", "refs/heads/backends/emis")
    site.git("symbolic-ref", "refs/heads/backends/emis", "refs/heads/main")
    assert "is a symbolic ref to refs/heads/main" in problems(site)
    (site.path / "HEAD").write_text(site.git("rev-parse", "main"))
    assert "HEAD" in problems(site)


def test_a_clone_without_its_history_says_so(site: Site, tmp_path: Path) -> None:
    clone = tmp_path / "clone"
    site.git("clone", "-q", "--depth=1", "--no-single-branch", f"file://{site.path}", str(clone))
    with pytest.raises(Error, match="unshallow"):
        verify(clone)
