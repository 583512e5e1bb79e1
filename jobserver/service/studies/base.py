"""What a place where studies live has to answer, and the values that it answers with.

May import errors, domain and store (to read YAML).
"""

import re
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from jobserver.domain.pipeline import reader
from jobserver.domain.pipeline.reader import Pipeline
from jobserver.errors import Error, Fault, invalid, not_found
from jobserver.store.yaml.nodes import read_nodes, stray_tab

PROJECT_FILE = "project.yaml"
GITHUB_API = "https://api.github.com"
GITHUB_HOST = "github.com"
GITHUB_REPO = f"https://{GITHUB_HOST}/<org>/<name>"  # as error messages show it
MAX_PROJECT_BYTES = reader.MAX_FILE_BYTES

_SHA = re.compile(r"[0-9a-f]{40}")
_NO_BRANCH = re.compile(
    r"[\x00-\x20\x7f~^:?*\[\\\ud800-\udfff]|\.\.|//|@\{|^[/-]|^@$|(?:^|/)\.|(?:\.|/)$|\.lock(?:/|$)"
)


@dataclass(frozen=True, slots=True)
class Branch:
    """``sha`` is its tip, 40 hex digits; None if the place does not say."""

    name: str
    sha: str | None = None


@dataclass(frozen=True, slots=True)
class BranchList:
    """Branches, by name. ``as_of`` is None if they are fresh, else when they were (aware, UTC)."""

    branches: tuple[Branch, ...]
    as_of: datetime | None = None


@dataclass(frozen=True, slots=True)
class Tip:
    """The commit of a branch. ``as_of`` is None if it is fresh, else when it was (aware, UTC)."""

    sha: str
    as_of: datetime | None = None


@dataclass(frozen=True, slots=True)
class Study:
    """project.yaml as it is in one commit. ``as_of`` is when that was the branch's tip; None is now."""

    sha: str
    pipeline: Pipeline
    source: str
    as_of: datetime | None = None


class Source(Protocol):
    """A place, asked each time anew. All of it may be called from several threads at once.

    ``until`` is the moment, on `time.monotonic`'s clock, after which the answer is not waited for any more.
    Each raises `Error`: not_found names the repository or the branch, unavailable names the place.
    """

    patience: float

    def check_repo(self, repo: str) -> str:
        """The one spelling of ``repo`` that is stored. Asks no other machine; raises `Error`."""
        ...

    def repositories(self, until: float) -> tuple[str, ...]:
        """Those that there are to choose from, sorted, as `check_repo` spells them; none where nobody said whose."""
        ...

    def branches(self, repo: str, until: float) -> tuple[Branch, ...]: ...

    def tip(self, repo: str, branch: str, until: float) -> str: ...

    def project_file(self, repo: str, sha: str, until: float) -> bytes: ...


def missing_repo(repo: str) -> Error:
    return not_found(f"Missing repository: {repo!r}")


def missing_branch(branch: str) -> Error:
    return not_found(f"Missing branch: {branch!r}")


def missing_project_file(sha: str) -> Error:
    return not_found(f"Could not find {PROJECT_FILE}", f"commit {sha}")


def unusable_project_file(sha: str, problem: str) -> Error:
    """``problem`` says what stands where the file was expected, or what is wrong with the whole of it."""
    fault = Fault(problem, PROJECT_FILE)
    return invalid(str(fault), f"commit {sha}", [fault])


def too_large(sha: str, size: int) -> Error:
    return unusable_project_file(sha, f"{size} bytes; at most {MAX_PROJECT_BYTES} are allowed")


def check_branch(branch: str) -> str:
    """``branch`` if git could have one of that name: no other ever reaches a URL or a path.

    Raises `Error` (not_found).
    """
    if not branch or len(branch) > 255 or _NO_BRANCH.search(branch):
        raise missing_branch(branch)
    return branch


def check_sha(sha: str) -> bool:
    return _SHA.fullmatch(sha) is not None


def read_study(sha: str, data: bytes) -> Study:
    """The study in the project.yaml of a commit. Raises `Error` (invalid) with its faults."""
    if len(data) > MAX_PROJECT_BYTES:
        raise too_large(sha, len(data))
    parsed = reader.parse(read_nodes(data, PROJECT_FILE, aliases=True), PROJECT_FILE, stray_tab(data))
    return Study(sha, parsed, data.decode("utf-8"))
