"""The keys of a state repository, and of what is none."""

from pathlib import Path

import pytest

from jobserver.errors import Code, Error
from jobserver.store.keys import key_walk
from tests.e2e.harness import git
from tests.site import Site


def test_the_keys_of_a_repository_and_of_a_clone(site: Site, tmp_path: Path) -> None:
    git(tmp_path, "clone", "-q", str(site.path), "clone")
    ours = site.repo.writer.keys.current().fingerprint
    assert list(key_walk.main_keys(site.path).signers) == list(key_walk.main_keys(tmp_path / "clone").signers) == [ours]


@pytest.mark.parametrize(("branch", "reason"), [("other", "has no branch main"), ("main", "is not a state repository")])
def test_another_repository_is_none(tmp_path: Path, branch: str, reason: str) -> None:
    git(tmp_path, "init", "-q", "-b", branch)
    git(tmp_path, "commit", "-q", "--allow-empty", "-m", "x")
    with pytest.raises(Error, match=reason) as refused:
        key_walk.main_keys(tmp_path)
    assert refused.value.code is Code.INVALID
    assert str(tmp_path) in str(refused.value)
