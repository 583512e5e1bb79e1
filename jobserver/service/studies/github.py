"""Studies on GitHub, through its REST API.

May import errors and PyGithub. Each call has a client of its own, because PyGithub's client is not thread-safe. There
are no retries, because the caller has an earlier answer and waits only briefly for a new one.

Reads files as git objects by id, and checks their ids. The contents endpoint would take the commit as a query
parameter. PyGithub drops that when GitHub redirects, as for a renamed repository, and would read the default branch.
"""

import base64
import hashlib
import math
import re
import time
from collections.abc import Callable, Collection
from itertools import islice
from typing import TypeVar
from urllib.parse import urlsplit

import github
from github.Repository import Repository

from jobserver.cache import Cache
from jobserver.errors import Error, forbidden, unavailable
from jobserver.service.studies.base import (
    GITHUB_API,
    GITHUB_HOST,
    GITHUB_REPO,
    MAX_PROJECT_BYTES,
    MAX_REPOSITORIES,
    PROJECT_FILE,
    Branch,
    StudyChanges,
    StudyRef,
    check_branch,
    check_sha,
    check_size,
    missing_branch,
    missing_commit,
    missing_project_file,
    missing_repo,
    not_a_file,
    too_large,
    unusable_repo,
)
from jobserver.service.studies.deadline import DeadlineRunner
from jobserver.service.studies.github_changes import commits_between
from jobserver.service.studies.github_refs import GitHubRefs
from jobserver.service.studies.refs import chosen_ref, unknown_ref

TIME_OUT = 5.0  # seconds for one answer, with all the calls to GitHub that it needs
MAX_BRANCHES = 5000

_ORG = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9_-]{0,99})")
_NAME = re.compile(r"[A-Za-z0-9._-]{1,100}")
_EXPECTED = f"expected {GITHUB_REPO}"
_REGULAR = ("100644", "100755")
_GONE = (404, 410)
_SEEN_SECONDS = 600.0
_ONLY = "you can use only repositories of {!r} (GITHUB_ORG)"
_EMPTY = 409  # a repository without commits

T = TypeVar("T")


class GitHubSource:
    """The repositories of ``org``, or all of GitHub if ``org`` is empty.

    Without ``token``: public repositories only, and few calls an hour. ``time_out`` is in seconds. ``org_id``: the
    number of ``org`` on GitHub, because another organisation can take its name.
    """

    def __init__(
        self,
        token: str = "",
        org: str = "",
        url: str = GITHUB_API,
        time_out: float = TIME_OUT,
        org_id: int | None = None,
    ) -> None:
        self.patience = time_out
        self._token = token
        self._org, self._org_id = org, org_id
        self._url = url.rstrip("/")
        self._within = DeadlineRunner()
        self._seen_here = Cache[str, float](MAX_REPOSITORIES)  # when each repository last belonged to ``org``

    def check_repo(self, repo: str) -> str:
        """Returns ``https://github.com/<org>/<name>``. Raises `Error`: invalid; forbidden for another organisation."""
        try:
            parts = urlsplit(repo)
            usual = (parts.scheme, parts.netloc.lower(), parts.query, parts.fragment) == ("https", GITHUB_HOST, "", "")
        except ValueError:
            raise unusable_repo(repo, _EXPECTED) from None
        org, _, name = parts.path.strip("/").partition("/")
        name = name.removesuffix(".git")
        if not (usual and _ORG.fullmatch(org) and _NAME.fullmatch(name)) or name in (".", ".."):
            raise unusable_repo(repo, _EXPECTED)
        if self._org and org.lower() != self._org.lower():
            raise forbidden(f"{repo!r} belongs to {org!r}; {_ONLY.format(self._org)}", field="repo")
        return f"https://{GITHUB_HOST}/{org}/{name}"

    def repositories(self, until: float) -> tuple[str, ...]:
        """The repositories of ``org`` that ``token`` can see."""
        if not self._org:
            return ()

        def ask(client: github.Github) -> tuple[str, ...]:
            every = client.get_organization(self._org).get_repos(sort="full_name")
            names = [repository.full_name for repository in islice(every, MAX_REPOSITORIES)]
            return tuple(f"https://{GITHUB_HOST}/{name}" for name in sorted(names, key=str.lower))

        try:
            return self._asked(until, ask)
        except github.GithubException:  # `_asked` turns all others into an `Error`
            raise unavailable(f"GitHub has no organisation {self._org!r} (GITHUB_ORG)", GITHUB_HOST) from None

    def branches(self, repo: str, until: float) -> tuple[Branch, ...]:
        def ask(opened: Repository) -> tuple[Branch, ...]:
            branches: list[Branch] = []
            for branch in opened.get_branches():
                branches.append(Branch(branch.name, branch.commit.sha))
                if len(branches) == MAX_BRANCHES:
                    break
            return tuple(sorted(branches, key=lambda branch: branch.name))

        return self._ask(repo, until, ask, missing=None, empty=())

    def tip(self, repo: str, branch: str, until: float) -> str:
        check_branch(branch)

        def ask(opened: Repository) -> str:
            ref = opened.get_git_ref(f"heads/{branch}")
            sha = ref.object.sha
            if ref.ref != f"refs/heads/{branch}" or not check_sha(sha):
                raise ValueError(f"not the ref {branch!r}")
            return sha

        return self._ask(repo, until, ask, missing=missing_branch(branch))

    def resolve(self, repo: str, ref: str, own: str, until: float) -> StudyRef:
        def ask(opened: Repository) -> StudyRef:
            chosen = chosen_ref(GitHubRefs(opened, until), ref, own)
            if chosen is None:
                opened.complete()  # GitHub gives the same answer if the repository is missing
                raise unknown_ref(ref)
            return chosen

        return self._ask(repo, until, ask, missing=None)

    def project_file(self, repo: str, sha: str, until: float) -> bytes:
        def ask(opened: Repository) -> bytes:
            tree = opened.get_git_tree(sha)
            entry = next((entry for entry in tree.tree if entry.path == PROJECT_FILE), None)
            if entry is None:
                raise missing_project_file(sha)
            if entry.type != "blob" or entry.mode not in _REGULAR:
                raise not_a_file(sha)
            if entry.size > MAX_PROJECT_BYTES:
                raise too_large(sha, entry.size)
            return _content(opened, entry.sha)

        return self._ask(repo, until, ask, missing=missing_project_file(sha))

    def folder_files(
        self, repo: str, sha: str, folder: str, names: Collection[str], until: float
    ) -> dict[str, bytes] | None:
        def ask(opened: Repository) -> dict[str, bytes] | None:
            inner = next((entry for entry in opened.get_git_tree(sha).tree if entry.path == folder), None)
            if inner is None or inner.type != "tree":
                return None
            files: dict[str, bytes] = {}
            for entry in opened.get_git_tree(inner.sha).tree:
                if entry.path in names and entry.type == "blob" and entry.mode in _REGULAR:
                    check_size(f"{folder}/{entry.path}", entry.size)
                    files[entry.path] = _content(opened, entry.sha)
            return files

        return self._ask(repo, until, ask, missing=missing_commit(sha))

    def message(self, repo: str, sha: str, until: float) -> str:
        return self._ask(
            repo, until, lambda opened: str(opened.get_git_commit(sha).message), missing=missing_commit(sha)
        )

    def changes(self, repo: str, old: str, new: str, until: float) -> StudyChanges | None:
        return self._ask(repo, until, lambda opened: commits_between(opened, old, new), missing=None)

    def _ask(
        self,
        repo: str,
        until: float,
        ask: Callable[[Repository], T],
        missing: Error | None,
        empty: T | None = None,
    ) -> T:
        """The result of ``ask``. Raises ``missing`` if the repository exists, but not what ``ask`` looks for."""
        full_name = self.check_repo(repo).removeprefix(f"https://{GITHUB_HOST}/")
        try:
            return self._asked(until, lambda client: ask(self._opened(client, full_name)))
        except github.GithubException as error:
            if error.status == _EMPTY and empty is not None:
                return empty
            if error.status == _EMPTY and missing is not None:
                raise missing from None
            if error.status == _EMPTY:
                raise _refused(error) from error
        if missing is None:
            raise missing_repo(repo)
        # GitHub gives the same answer if the repository is missing as if something in it is.
        self._ask(repo, until, lambda opened: opened.complete(), missing=None)
        raise missing

    def _opened(self, client: github.Github, full_name: str) -> Repository:
        """Raises `Error` (forbidden) if GitHub redirects this name to a repository of another owner."""
        opened = client.get_repo(full_name)
        now = time.monotonic()
        if not self._org or now - (self._seen_here.get(full_name) or -_SEEN_SECONDS) < _SEEN_SECONDS:
            return opened
        opened.complete()  # loads its present name and owner
        owner = opened.full_name.partition("/")[0]
        if owner.lower() != self._org.lower():
            raise forbidden(f"{full_name!r} was moved to {opened.full_name!r}; {_ONLY.format(self._org)}", field="repo")
        if self._org_id is not None and opened.owner.id != self._org_id:
            raise forbidden(
                f"{owner!r} is not the organisation of GITHUB_ORG_ID; {_ONLY.format(self._org)}", field="repo"
            )
        self._seen_here.put(full_name, now)
        return opened

    def _asked(self, until: float, ask: Callable[[github.Github], T]) -> T:
        """The result of ``ask``. Raises `Error`; PyGithub's own exception if GitHub answers that something does not
        exist.
        """
        patience = max(self.patience, until - time.monotonic())
        try:
            return self._within(until, lambda: self._call(until, ask))
        except github.GithubException as error:
            if error.status not in (*_GONE, _EMPTY):
                raise _refused(error) from error
            raise
        except TimeoutError:
            raise _silent(patience) from None
        except OSError as error:  # so are all errors of the HTTP client that PyGithub uses
            raise unavailable("GitHub can't be reached", GITHUB_HOST) from error
        except _STRANGE as error:
            raise unavailable(
                f"GitHub sent an answer that can't be read: {type(error).__name__}", GITHUB_HOST
            ) from error

    def _call(self, until: float, ask: Callable[[github.Github], T]) -> T:
        # PyGithub takes whole seconds only; `DeadlineRunner` keeps the fractions.
        time_out = max(1, math.ceil(until - time.monotonic()))
        with github.Github(
            auth=github.Auth.Token(self._token) if self._token else None,
            base_url=self._url,
            timeout=time_out,
            per_page=100,
            retry=None,
            seconds_between_requests=None,
            seconds_between_writes=None,
            lazy=True,
        ) as client:
            return ask(client)


def _content(opened: Repository, sha: str) -> bytes:
    data = base64.b64decode(opened.get_git_blob(sha).content)
    if hashlib.sha1(b"blob %d\0" % len(data) + data, usedforsecurity=False).hexdigest() != sha:
        raise ValueError("the file differs from its id")
    return data


# PyGithub raises these for bodies that are not the expected JSON, and for redirects to other hosts.
_STRANGE = (
    github.BadAttributeException,
    ArithmeticError,
    AssertionError,
    AttributeError,
    LookupError,
    RuntimeError,
    TypeError,
    ValueError,
)


def _silent(patience: float) -> Error:
    return unavailable(f"GitHub did not answer within {round(patience, 1):g} s", GITHUB_HOST)


def _refused(error: github.GithubException) -> Error:
    if isinstance(error, github.RateLimitExceededException) or error.status == 429:
        return unavailable("GitHub's rate limit is used up; try again later", GITHUB_HOST)
    if error.status == 401:
        return unavailable("GitHub does not accept GITHUB_TOKEN", GITHUB_HOST)
    return unavailable(f"GitHub answered with an error, {error.status}", GITHUB_HOST)
