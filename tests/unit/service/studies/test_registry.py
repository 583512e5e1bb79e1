"""How a repository is written decides where it is looked for."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from jobserver.errors import Code, Error
from jobserver.service.studies.registry import StudyRegistry


@pytest.fixture
def studies(tmp_path: Path) -> StudyRegistry:
    return StudyRegistry(tmp_path, "", "", lambda: datetime(2026, 11, 23, tzinfo=UTC), github_url="http://127.0.0.1:1")


@pytest.mark.parametrize(
    "repo",
    [
        "https://github.com/Org/study-1",
        "https://github.com/Org/study-1/",
        "https://github.com/Org/study-1.git",
        "https://GitHub.com/Org/study-1",
        "HTTPS://github.com/Org/study-1",
    ],
)
def test_a_repository_is_stored_under_one_spelling(studies: StudyRegistry, repo: str) -> None:
    assert studies.check_repo(repo) == "https://github.com/Org/study-1"


@pytest.mark.parametrize(
    "repo",
    [
        "https://gitlab.com/org/study",
        "https://github.com.example.org/org/study",
        "https://user:password@github.com/org/study",
        "https://github.com:8443/org/study",
        "https://github.com/org",
        "https://github.com/org/",
        "https://github.com/",
        "https://github.com/org/study/tree/main",
        "https://github.com/org/study?x=1",
        "https://github.com/org/study#x",
        "https://github.com/org/..",
        "https://github.com/../study",
        "https://github.com/org/.git",
        "https://github.com/o%2Fx/study",
        "https://github.com/org/st udy",
        "https://[github.com/org/study",
        "http://github.com/org/study",
        "git://github.com/org/study",
        "ssh://git@github.com/org/study",
        "file:///etc",
        "git@github.com:org/study.git",
    ],
)
def test_other_urls_are_refused(studies: StudyRegistry, repo: str) -> None:
    for ask in (studies.check_repo, studies.branches, lambda r: studies.project(r, "main")):
        with pytest.raises(Error) as caught:
            ask(repo)
        assert caught.value.code is Code.INVALID
        assert "expected https://github.com/<org>/<name>" in caught.value.message
        assert repr(repo) in caught.value.message
