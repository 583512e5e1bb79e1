"""The layout of a state repository: its branches, and which document is at which path.

This is section 1 of docs/contract.md as code. A path that `parse_path` does not know holds no document.
"""

import re
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from functools import lru_cache

from jobserver.domain.base import names

MAIN = "main"
AUDIT = "audit"
SITE_MESSAGE = "site"
"""The name of the one document of its kind."""
_BACKENDS = "backends/"
PIPELINE_FILE = "/pipeline.yaml"
ACTIVE_ONLY = "sparse:oid=active"
"""The filter (as of `git fetch --filter`) with which a backend fetches its branch without the finished work."""


class Kind(StrEnum):
    __hash__ = str.__hash__  # Enum's own runs in Python, and every document is looked up by its kind

    BACKEND = "backend"
    USER = "user"
    ORG = "org"
    PROJECT = "project"
    WORKSPACE = "workspace"
    MESSAGE = "message"
    REQUEST = "job-request"
    PIPELINE = "pipeline"
    JOB = "job"
    RELEASE = "release"
    RECEIPT = "receipt"
    CHECKPOINT = "checkpoint"
    IMPORT = "import"


class Area(StrEnum):
    __hash__ = str.__hash__

    ACTIVE = "active"
    ARCHIVE = "archive"


@dataclass(frozen=True, slots=True)
class Place:
    """Where a job request's folder is on its backend's branch."""

    area: Area
    day: date
    identifier: str

    @property
    def folder(self) -> str:
        if self.area is Area.ACTIVE:
            return f"active/{self.day.isoformat()}/{self.identifier}"
        return f"archive/{self.day.isoformat().replace('-', '/')}/{self.identifier}"

    @property
    def request(self) -> str:
        return f"{self.folder}/request.yaml"

    @property
    def pipeline(self) -> str:
        return self.folder + PIPELINE_FILE

    def job(self, identifier: str) -> str:
        return f"{self.folder}/jobs/{identifier}.yaml"

    def moved(self, area: Area) -> "Place":
        return Place(area, self.day, self.identifier)


@dataclass(frozen=True, slots=True)
class DocPath:
    """The document that a path names. ``name`` is ``org/project`` for projects, ``workspace/id`` for releases, and the
    id for jobs."""

    kind: Kind
    name: str
    place: Place | None = None


def backend_branch(slug: str) -> str:
    return _BACKENDS + slug


@lru_cache(1024)
def branch_backend(branch: str) -> str | None:
    """The backend whose branch this is, or None."""
    slug = branch.removeprefix(_BACKENDS)
    return slug if slug != branch and names.is_slug(slug) else None


def is_branch(branch: str) -> bool:
    """Whether a state repository can have a branch of this name."""
    return branch in (MAIN, AUDIT) or branch_backend(branch) is not None


def main_path(kind: Kind, name: str) -> str:
    return f"{kind.value}s/{name}.yaml"


_MAIN_PATHS = tuple(
    (kind, re.compile(rf"{kind.value}s/({pattern})\.yaml"))
    for kind, pattern in (
        (Kind.WORKSPACE, names.WORKSPACE),
        (Kind.USER, names.USERNAME),
        (Kind.PROJECT, names.PROJECT),
        (Kind.BACKEND, names.SLUG),
        (Kind.ORG, names.SLUG),
        (Kind.MESSAGE, SITE_MESSAGE),
    )
)
RECEIPT_PATH, CHECKPOINT_PATH, IMPORT_PATH = "receipt.yaml", "checkpoint.yaml", "import.yaml"
_AUDIT_PATHS = {
    RECEIPT_PATH: DocPath(Kind.RECEIPT, "receipt"),
    CHECKPOINT_PATH: DocPath(Kind.CHECKPOINT, "checkpoint"),
    IMPORT_PATH: DocPath(Kind.IMPORT, "import"),
}
_BACKEND_PATH = re.compile(
    r"(?:(active)/([0-9]{4})-([0-9]{2})-([0-9]{2})|(archive)/([0-9]{4})/([0-9]{2})/([0-9]{2}))"
    rf"/({names.REQUEST_ID})/(?:(request|pipeline)\.yaml|jobs/({names.JOB_ID})\.yaml)"
)
_RELEASE_PATH = re.compile(rf"releases/({names.WORKSPACE}/{names.CHECKED_RELEASE_ID})\.yaml")


def release_path(workspace: str, identifier: str) -> str:
    """Where a backend's branch has the document of a release."""
    return f"releases/{workspace}/{identifier}.yaml"


def is_release(workspace: str, identifier: str) -> bool:
    """Whether a release can have these names."""
    return _RELEASE_PATH.fullmatch(release_path(workspace, identifier)) is not None


_MAIN_LAYOUT = {
    "workspaces": f"workspaces/<name>.yaml, the name {names.WORDS[names.WORKSPACE]}",
    "users": f"users/<username>.yaml, the username {names.WORDS[names.USERNAME]}",
    "projects": f"projects/<org>/<project>.yaml, both {names.WORDS[names.SLUG]}",
    "backends": f"backends/<slug>.yaml, the slug {names.WORDS[names.SLUG]}",
    "messages": "messages/site.yaml",
    "orgs": f"orgs/<slug>.yaml, the slug {names.WORDS[names.SLUG]}",
}


def misplaced(branch: str, path: str) -> str:
    """The message for a path that cannot hold a document. Suggests a path if possible."""
    message = f"no document is allowed here on {branch}"
    stem, _, ending = path.rpartition(".")
    if ending.lower() not in ("yaml", "yml"):
        return message
    if parse_path(branch, f"{stem}.yaml") is not None:
        return f"{message}: its name must end in .yaml"
    expected = _MAIN_LAYOUT.get(path.partition("/")[0]) if branch == MAIN else None
    return f"{message}: expected {expected}" if expected else message


@lru_cache(maxsize=16384)  # each path of a change is parsed several times, and the same jobs change again and again
def parse_path(branch: str, path: str) -> DocPath | None:
    """The document that ``path`` of ``branch`` holds; None if it cannot hold one."""
    if branch == MAIN:
        for kind, pattern in _MAIN_PATHS:
            if match := pattern.fullmatch(path):
                return DocPath(kind, match[1])
        return None
    if branch == AUDIT:
        return _AUDIT_PATHS.get(path)
    if branch_backend(branch) is None:
        return None
    if release := _RELEASE_PATH.fullmatch(path):
        return DocPath(Kind.RELEASE, release[1])
    match = _BACKEND_PATH.fullmatch(path)
    if not match:
        return None
    active, y1, m1, d1, _, y2, m2, d2, identifier, file, job = match.groups()
    try:
        day = date(int(y1 or y2), int(m1 or m2), int(d1 or d2))
    except ValueError:
        return None
    place = Place(Area.ACTIVE if active else Area.ARCHIVE, day, identifier)
    if job:
        return DocPath(Kind.JOB, job, place)
    return DocPath(Kind.PIPELINE if file == "pipeline" else Kind.REQUEST, identifier, place)
