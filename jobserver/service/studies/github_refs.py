"""The refs and commits of a study on GitHub, through its REST API.

May import errors, PyGithub and this package.
"""

import time
from collections.abc import Callable
from typing import TypeVar

import github
from github.Repository import Repository

from jobserver.domain.job_requests.refs import HEADS
from jobserver.errors import invalid
from jobserver.service.studies.base import check_sha

_MISSING = (404, 409, 410, 422)  # 409: a repository without commits; 422: GitHub finds no commit
_MOST_BRANCHES = 30  # that are compared with a commit, each in a call
_MOST_TAGS = 10  # that name each other
_SPARE_SECONDS = 1.5  # for reading the study, after the search

T = TypeVar("T")


class GitHubRefs:
    """Implements `StudyRefs`. ``until``: on the clock of `time.monotonic`. Raises what PyGithub raises, too."""

    def __init__(self, opened: Repository, until: float) -> None:
        self._opened, self._until = opened, until

    def commit_of(self, ref: str) -> str | None:
        def read() -> str | None:
            kept = self._opened.get_git_ref(ref.removeprefix("refs/"))
            target = kept.object
            if kept.ref != ref:
                raise ValueError(f"not the ref {ref!r}")
            for _ in range(_MOST_TAGS):
                if target.type != "tag":
                    return _checked(target.sha) if target.type == "commit" else None
                target = self._opened.get_git_tag(target.sha).object
            return None

        return _or_none(read)

    def commits(self, start: str) -> list[str]:
        def read() -> str:
            commit = self._opened.get_commit(start)
            commit.complete()  # until then, PyGithub takes what was asked for as the id
            return _checked(commit.sha)

        # A short id may be the name of a branch, too, which GitHub prefers.
        sha = _or_none(read)
        return [sha] if sha is not None and sha.startswith(start) else []

    def branch_with(self, sha: str, own: str) -> str | None:
        tip = self.commit_of(f"{HEADS}{own}")
        if tip is not None and self._contains(tip, sha):
            return own
        for head in _or_none(lambda: self._opened.get_commit(sha).get_branches_where_head()) or ():
            if self.commit_of(f"{HEADS}{head.name}") == sha:
                return head.name
        for number, branch in enumerate(self._opened.get_branches()):
            if number == _MOST_BRANCHES or time.monotonic() > self._until - _SPARE_SECONDS:
                raise invalid(
                    f"the commit is not on {own}, and the other branches are too many to search: create a branch at it",
                    "ref",
                )
            if branch.name != own and self._contains(branch.commit.sha, sha):
                return branch.name
        return None

    def _contains(self, tip: str, sha: str) -> bool:
        status = _or_none(lambda: self._opened.compare(tip, sha, comparison_commits_per_page=1).status)
        return status in ("identical", "behind")


def _checked(sha: str) -> str:
    if not check_sha(sha):
        raise ValueError("not the id of a commit")
    return sha


def _or_none(read: Callable[[], T]) -> T | None:
    """None for what GitHub does not have."""
    try:
        return read()
    except github.GithubException as error:
        if error.status in _MISSING:
            return None
        raise
