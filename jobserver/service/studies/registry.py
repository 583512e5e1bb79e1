"""Finds the source of a repository by the form of its name. The rest of the server uses only this module.

May import errors and this package.
"""

import threading
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from pathlib import Path

from jobserver.domain.job_requests.refs import HEADS
from jobserver.errors import invalid
from jobserver.service.studies.base import GITHUB_API, GITHUB_REPO, Branch, BranchList, Source, Study, StudyChanges, Tip
from jobserver.service.studies.cached_source import CachedSource
from jobserver.service.studies.codelists import FOLDER, LIST, MANIFEST
from jobserver.service.studies.local import LocalSource
from jobserver.service.studies.repository_list import Repositories, RepositoryList

_DISK_SECONDS = 1.0


class StudyRegistry:
    """Uses GitHub for https URLs, and the folder ``study_repos`` for everything else. Thread-safe.

    Each method raises `Error`: invalid (a repository that cannot be used, or the faults of project.yaml), forbidden (an
    organisation other than ``github_org``), not_found (repository, branch or project.yaml), unavailable (names the
    source; only without an earlier answer).
    """

    def __init__(
        self,
        study_repos: Path | None,
        github_token: str,
        github_org: str,
        clock: Callable[[], datetime],
        github_url: str = GITHUB_API,
        github_time_out: float = 5.0,
        github_org_id: int | None = None,
    ) -> None:
        folder = LocalSource(study_repos)
        self._local = CachedSource(folder, clock)
        self._in_folder = RepositoryList(folder.repositories, clock, timedelta(seconds=10))
        self._of_org = RepositoryList(lambda until: self._hub().source.repositories(until), clock)
        self._clock = clock
        self._github_options = (github_token, github_org, github_url, github_time_out, github_org_id)
        self._github: CachedSource | None = None
        self._lock = threading.Lock()

    @property
    def github_org(self) -> str:
        return self._github_options[1]

    def check_repo(self, repo: str) -> str:
        """What a workspace stores: a URL without ``.git``, or a repository's path inside STUDY_REPOS."""
        return self._place(repo).source.check_repo(repo)

    def repositories(self, wait: float = 0.0) -> Repositories:
        """The repositories in ``study_repos`` and of ``github_org``. Waits up to ``wait`` seconds for GitHub; else uses
        its last answer.
        """
        local = self._in_folder.known(_DISK_SECONDS)
        if not self.github_org:
            return local
        hub = self._of_org.known(wait)
        return Repositories(local.names + hub.names, hub.as_of, hub.problem or local.problem)

    def branches(self, repo: str) -> list[Branch]:
        return list(self.answer(repo).branches)

    def answer(self, repo: str) -> BranchList:
        """The branches, and the age of the answer."""
        return self._place(repo).branches(repo)

    def resolve(self, repo: str, branch: str) -> str:
        """The commit id of the branch's tip, 40 hex digits."""
        return self.tip(repo, branch).sha

    def tip(self, repo: str, branch: str) -> Tip:
        """The branch's tip, and the age of the answer."""
        return self._place(repo).tip(repo, branch)

    def project(self, repo: str, branch: str, ref: str = "") -> Study:
        """The branch's tip, or the commit of ``ref`` that a person chose, and the project.yaml of that commit.

        Raises `Error` (invalid) for a ref that is unknown, ambiguous, or a commit that no branch contains."""
        if ref in ("", branch, f"{HEADS}{branch}"):
            return self._place(repo).project(repo, branch)
        return self._place(repo).project_at(repo, ref, branch)

    def codelist_files(self, repo: str, sha: str) -> Mapping[str, bytes] | None:
        return self._place(repo).folder_files(repo, sha, FOLDER, (LIST, MANIFEST))

    def changes(self, repo: str, old: str, new: str) -> StudyChanges | None:
        """What changed between two commits. None if one of them is gone."""
        return self._place(repo).changes(repo, old, new)

    def _place(self, repo: str) -> CachedSource:
        scheme, separator, _ = repo.partition("://")
        if scheme.lower() == "https" and separator:
            return self._hub()
        if separator or repo.startswith("git@"):
            raise invalid(
                f"{repo!r} can't be used as a repository: expected {GITHUB_REPO}, or the path of a study on the server",
                field="repo",
            )
        return self._local

    def _hub(self) -> CachedSource:
        # PyGithub takes a quarter of a second to import, and many servers and commands never need it.
        from jobserver.service.studies.github import GitHubSource

        with self._lock:
            if self._github is None:
                source: Source = GitHubSource(*self._github_options)
                self._github = CachedSource(source, self._clock)
            return self._github
