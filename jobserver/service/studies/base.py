"""The protocol of a source of studies, and the values that its answers consist of.

May import errors, domain and store (to read YAML).
"""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from jobserver.domain.job_requests.refs import is_name
from jobserver.domain.job_requests.requests import MAX_NOTE, one_line
from jobserver.domain.pipeline import reader
from jobserver.domain.pipeline.reader import Pipeline
from jobserver.errors import Error, Fault, invalid, not_found
from jobserver.store.yaml.nodes import read_nodes, stray_tab

PROJECT_FILE = "project.yaml"
GITHUB_API = "https://api.github.com"
GITHUB_HOST = "github.com"
GITHUB_REPO = f"https://{GITHUB_HOST}/<org>/<name>"  # as error messages show it
MAX_PROJECT_BYTES = reader.MAX_FILE_BYTES
MAX_OTHER_BYTES = 1024 * 1024
SHOWN_COMMITS = 50
MAX_REPOSITORIES = 2000  # in the list; people can type any other

_SHA = re.compile(r"[0-9a-f]{40}")


@dataclass(frozen=True, slots=True)
class Branch:
    """``sha``: the tip, 40 hex digits; None if the source does not report it."""

    name: str
    sha: str | None = None


@dataclass(frozen=True, slots=True)
class BranchList:
    """Branches by name. ``as_of``: the time of an older answer (aware, UTC); None if the answer is new."""

    branches: tuple[Branch, ...]
    as_of: datetime | None = None


@dataclass(frozen=True, slots=True)
class Tip:
    """The commit of a branch. ``as_of``: the time of an older answer (aware, UTC); None if the answer is new."""

    sha: str
    as_of: datetime | None = None


@dataclass(frozen=True, slots=True)
class StudyRef:
    """What a person chose. ``name``: the ref in full, or the commit's id. ``branch``: one that contains the commit."""

    name: str
    sha: str
    branch: str


@dataclass(frozen=True, slots=True)
class Study:
    """The project.yaml of one commit. ``as_of``: when the branch had this tip (aware, UTC); None if it has it now.
    ``subject``: of the commit; empty if the source did not say. ``chosen``: None at the tip of the workspace's
    branch."""

    sha: str
    pipeline: Pipeline
    source: str
    as_of: datetime | None = None
    subject: str = ""
    chosen: StudyRef | None = None


@dataclass(frozen=True, slots=True)
class StudyCommit:
    sha: str
    subject: str
    author: str
    committed_at: datetime


@dataclass(frozen=True, slots=True)
class StudyChanges:
    """``commits``: newest first. ``diff``: lines of a unified diff; none of a study on GitHub, which
    shows it. ``is_cut``: whether there are more of either."""

    commits: tuple[StudyCommit, ...]
    diff: tuple[str, ...]
    is_cut: bool = False


class Source(Protocol):
    """Where studies come from: GitHub, or a folder. Answers without a cache. Several threads may call it at once.

    ``until`` is the time on the clock of `time.monotonic` when the caller stops waiting. Each method raises `Error`:
    not_found names the repository or the branch, unavailable names the source.
    """

    patience: float

    def check_repo(self, repo: str) -> str:
        """The spelling of ``repo`` that documents store. Calls no other machine. Raises `Error`."""
        ...

    def repositories(self, until: float) -> tuple[str, ...]:
        """The repositories to choose from, sorted, spelled as by `check_repo`; none if no owner is configured."""
        ...

    def branches(self, repo: str, until: float) -> tuple[Branch, ...]: ...

    def tip(self, repo: str, branch: str, until: float) -> str: ...

    def resolve(self, repo: str, ref: str, own: str, until: float) -> StudyRef:
        """What a person means by ``ref``, as `refs.chosen_ref` says. Raises `Error` (invalid), too."""
        ...

    def project_file(self, repo: str, sha: str, until: float) -> bytes: ...

    def folder_files(
        self, repo: str, sha: str, folder: str, names: Collection[str], until: float
    ) -> Mapping[str, bytes] | None:
        """These files of a folder, as far as it has them; None without the folder. Raises `Error` (invalid) for a file
        that is too large."""
        ...

    def message(self, repo: str, sha: str, until: float) -> str:
        """The commit's message."""
        ...

    def changes(self, repo: str, old: str, new: str, until: float) -> StudyChanges | None:
        """From one commit to another. None if the repository lacks one of them."""
        ...


def unusable_repo(repo: str, problem: str) -> Error:
    return invalid(f"{repo!r} can't be used as a repository: {problem}", field="repo")


def missing_repo(repo: str) -> Error:
    return not_found(f"Missing repository: {repo!r}", field="repo")


def missing_branch(branch: str) -> Error:
    return not_found(f"Missing branch: {branch!r}", field="branch")


def missing_commit(sha: str) -> Error:
    return not_found(f"Missing commit: {sha!r}")


def missing_project_file(sha: str) -> Error:
    return not_found(f"Could not find {PROJECT_FILE}", f"commit {sha}")


def unusable_project_file(sha: str, problem: str) -> Error:
    """``problem`` says what is wrong with the file as a whole, or what the path has instead of a file."""
    fault = Fault(problem, PROJECT_FILE)
    return invalid(str(fault), f"commit {sha}", [fault])


def not_a_file(sha: str) -> Error:
    return unusable_project_file(sha, "expected a file, not a folder, a link or a submodule")


def too_large(sha: str, size: int) -> Error:
    return unusable_project_file(sha, f"{size} bytes; at most {MAX_PROJECT_BYTES} are allowed")


def check_size(path: str, size: int) -> None:
    """Of a file beside project.yaml. Raises `Error` (invalid)."""
    if size > MAX_OTHER_BYTES:
        raise invalid(f"{path} has {size} bytes; at most {MAX_OTHER_BYTES} are allowed")


def check_branch(branch: str) -> str:
    """Returns ``branch`` if git allows this name, so that no other text gets into a URL or a path.

    Raises `Error` (not_found).
    """
    if not is_name(branch):
        raise missing_branch(branch)
    return branch


def check_sha(sha: str) -> bool:
    return _SHA.fullmatch(sha) is not None


def subject_of(message: str) -> str:
    """The first line of a commit's message, as a document can have it."""
    text = next((line for part in message.splitlines() if (line := one_line(part))), "")
    return text if len(text) <= MAX_NOTE else f"{text[: MAX_NOTE - 1]}…"


def read_study(sha: str, data: bytes, subject: str = "") -> Study:
    """The study in the project.yaml of a commit. Raises `Error` (invalid) with its faults."""
    if len(data) > MAX_PROJECT_BYTES:
        raise too_large(sha, len(data))
    parsed = reader.parse(read_nodes(data, PROJECT_FILE, aliases=True), PROJECT_FILE, stray_tab(data))
    return Study(sha, parsed, data.decode("utf-8"), subject=subject)
