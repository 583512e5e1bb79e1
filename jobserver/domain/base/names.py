"""Names, identifiers and the grammar of branches and paths: docs/contract.md, section 1 as code, used by everybody.

A path that this module does not parse is no document's, on any branch.
"""

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum
from functools import lru_cache
from ipaddress import ip_address
from unicodedata import normalize
from urllib.parse import SplitResult, urlsplit

MAIN = "main"
AUDIT = "audit"
_BACKENDS = "backends/"
PIPELINE_FILE = "/pipeline.yaml"

SLUG = r"[a-z0-9](?:[a-z0-9-]{0,62}[a-z0-9])?"
WORKSPACE = r"[a-z0-9][a-z0-9_-]{0,127}"
USERNAME = r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}"
ACTION = r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}"
DATABASE = r"[a-z0-9][a-z0-9_-]{0,63}"
JOB_ID = r"[A-Za-z0-9_-]{1,64}"
REQUEST_ID = r"[2-7a-z]{16}"
SHA = r"[0-9a-f]{40}"
DIGEST = r"[0-9a-f]{64}"
RELEASE_ID = r"[0-9a-f]{32}"
PROJECT = rf"{SLUG}/{SLUG}"
PUSHER = rf"user/{USERNAME}|backend/{SLUG}"

# The same for people.
WORDS = {
    SLUG: "small letters, digits and hyphens, not a hyphen first or last, at most 64",
    WORKSPACE: "small letters, digits, - and _, at most 128, the first a letter or digit",
    USERNAME: "letters, digits, - and _, at most 64, the first a letter or digit",
    ACTION: "letters, digits, -, _ and dots, at most 128, the first none of - and dot",
    DATABASE: "small letters, digits, - and _, at most 64, the first a letter or digit",
    JOB_ID: "letters, digits, - and _, at most 64",
    REQUEST_ID: "16 characters of 2-7 and a-z",
    SHA: "a commit's id in full, 40 digits of 0-9 and a-f",
    DIGEST: "a SHA-256, 64 digits of 0-9 and a-f",
    RELEASE_ID: "32 digits of 0-9 and a-f",
    PROJECT: "org/project, each of small letters, digits and hyphens",
    PUSHER: "user/<username> or backend/<slug>",
}

_REQUEST_ID = re.compile(REQUEST_ID)
_SLUG = re.compile(SLUG)
_HOST = re.compile(r"[^\W_](?:[\w.-]*\w)?\.?")
_USERNAME = re.compile(USERNAME)
_NO_SLUG = re.compile(r"[^a-z0-9]+")
_ACTION = re.compile(ACTION)
_DIGITS = "234567abcdefghijklmnopqrstuvwxyz"  # ASCII order, so that text order is number order
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_RANDOM_BITS = 27  # 53 bits of microseconds reach the year 2255

# Segments of the server's own URLs: a workspace's page stands at the root beside them, and below its project.
RESERVED = frozenset(
    [
        "admin",
        "api",
        "audit",
        "backends",
        "favicon.ico",
        "health-check",
        "hooks",
        "invitations",
        "job-requests",
        "jobs",
        "live",
        "login",
        "logout",
        "metrics",
        "new",
        "orgs",
        "projects",
        "robots.txt",
        "settings",
        "state",
        "state.git",
        "static",
        "status",
        "users",
        "webhooks",
        "workspaces",
    ]
)


RESERVED_ORGS = frozenset(["new"])
RESERVED_PROJECTS = frozenset(["new-project", "settings"])


class Kind(StrEnum):
    BACKEND = "backend"
    USER = "user"
    ORG = "org"
    PROJECT = "project"
    WORKSPACE = "workspace"
    REQUEST = "job-request"
    PIPELINE = "pipeline"
    JOB = "job"
    RECEIPT = "receipt"
    CHECKPOINT = "checkpoint"


class Area(StrEnum):
    ACTIVE = "active"
    ARCHIVE = "archive"


@dataclass(frozen=True, slots=True)
class Place:
    """Where a job request's folder stands on its backend's branch."""

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
    """What a path says about its document. ``name`` is ``org/project`` for projects, the job's id for jobs."""

    kind: Kind
    name: str
    place: Place | None = None


def is_page(kind: Kind, name: str) -> bool:
    """Whether a page of the server stands where this document's would."""
    match kind:
        case Kind.WORKSPACE:
            return name in RESERVED
        case Kind.ORG:
            return name in RESERVED_ORGS
        case Kind.PROJECT:
            return name.rpartition("/")[2] in RESERVED_PROJECTS
    return False


def slug_of(name: str) -> str:
    """A slug that is like this name in words; empty if nothing of it can stand in one."""
    plain = normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    return _NO_SLUG.sub("-", plain).strip("-")[:64].rstrip("-")


def is_slug(text: str) -> bool:
    return _SLUG.fullmatch(text) is not None


def is_host(text: str) -> bool:
    """Whether a URL may name this host: a name of the Internet's or of the machine's network, or an IP address."""
    try:
        return bool(_HOST.fullmatch(text) or ip_address(text))
    except ValueError:
        return False


def url_parts(text: str) -> SplitResult | None:
    """None for what can be no URL: its port is none, or brackets are left open."""
    try:
        parts = urlsplit(text)
        return None if parts.port == 0 else parts
    except ValueError:
        return None


def backend_branch(slug: str) -> str:
    return _BACKENDS + slug


def branch_backend(branch: str) -> str | None:
    """The backend whose branch this is, or None."""
    slug = branch.removeprefix(_BACKENDS)
    return slug if slug != branch and _SLUG.fullmatch(slug) else None


def is_branch(branch: str) -> bool:
    """Whether a state repository has branches of this name."""
    return branch in (MAIN, AUDIT) or branch_backend(branch) is not None


def main_path(kind: Kind, name: str) -> str:
    return f"{kind.value}s/{name}.yaml"


def request_id(micros: int, random: int) -> str:
    """16 characters from microseconds since 1970 and 27 random bits; later is greater."""
    number = (micros << _RANDOM_BITS) | (random & ((1 << _RANDOM_BITS) - 1))
    return "".join(_DIGITS[(number >> shift) & 31] for shift in range(75, -1, -5))


def is_request_id(text: str) -> bool:
    return _REQUEST_ID.fullmatch(text) is not None


def is_username(text: str) -> bool:
    return _USERNAME.fullmatch(text) is not None


def is_action(text: str) -> bool:
    return _ACTION.fullmatch(text) is not None


def request_day(identifier: str) -> date:
    """The UTC day that an id of ours was made on; a mere guess for an id that somebody made up."""
    number = 0
    for digit in identifier:
        number = number << 5 | _DIGITS.index(digit)
    return (_EPOCH + timedelta(microseconds=number >> _RANDOM_BITS)).date()


def micros(moment: datetime) -> int:
    return (moment - _EPOCH) // timedelta(microseconds=1)


_MAIN_PATHS = tuple(
    (kind, re.compile(rf"{kind.value}s/({pattern})\.yaml"))
    for kind, pattern in (
        (Kind.WORKSPACE, WORKSPACE),
        (Kind.USER, USERNAME),
        (Kind.PROJECT, PROJECT),
        (Kind.BACKEND, SLUG),
        (Kind.ORG, SLUG),
    )
)
RECEIPT_PATH, CHECKPOINT_PATH = "receipt.yaml", "checkpoint.yaml"
_AUDIT_PATHS = {
    RECEIPT_PATH: DocPath(Kind.RECEIPT, "receipt"),
    CHECKPOINT_PATH: DocPath(Kind.CHECKPOINT, "checkpoint"),
}
_BACKEND_PATH = re.compile(
    r"(?:(active)/([0-9]{4})-([0-9]{2})-([0-9]{2})|(archive)/([0-9]{4})/([0-9]{2})/([0-9]{2}))"
    rf"/({REQUEST_ID})/(?:(request|pipeline)\.yaml|jobs/({JOB_ID})\.yaml)"
)


_MAIN_LAYOUT = {
    "workspaces": f"workspaces/<name>.yaml, the name {WORDS[WORKSPACE]}",
    "users": f"users/<username>.yaml, the username {WORDS[USERNAME]}",
    "projects": f"projects/<org>/<project>.yaml, both {WORDS[SLUG]}",
    "backends": f"backends/<slug>.yaml, the slug {WORDS[SLUG]}",
    "orgs": f"orgs/<slug>.yaml, the slug {WORDS[SLUG]}",
}


def misplaced(branch: str, path: str) -> str:
    """That no document may stand at ``path``, and what may, where that can be guessed."""
    said = f"no document may stand here on {branch}"
    stem, _, ending = path.rpartition(".")
    if ending.lower() not in ("yaml", "yml"):
        return said
    if parse_path(branch, f"{stem}.yaml") is not None:
        return f"{said}: its name must end in .yaml"
    layout = _MAIN_LAYOUT.get(path.partition("/")[0]) if branch == MAIN else None
    return f"{said}: expected {layout}" if layout else said


@lru_cache(maxsize=16384)  # several look at each path of a change, and the same jobs change again and again
def parse_path(branch: str, path: str) -> DocPath | None:
    """What stands at ``path`` of ``branch`` by the contract's layout, or None if nothing may."""
    if branch == MAIN:
        for kind, pattern in _MAIN_PATHS:
            if found := pattern.fullmatch(path):
                return DocPath(kind, found[1])
        return None
    if branch == AUDIT:
        return _AUDIT_PATHS.get(path)
    found = _BACKEND_PATH.fullmatch(path) if branch_backend(branch) else None
    if not found:
        return None
    active, y1, m1, d1, _, y2, m2, d2, identifier, file, job = found.groups()
    try:
        day = date(int(y1 or y2), int(m1 or m2), int(d1 or d2))
    except ValueError:
        return None
    place = Place(Area.ACTIVE if active else Area.ARCHIVE, day, identifier)
    if job:
        return DocPath(Kind.JOB, job, place)
    return DocPath(Kind.PIPELINE if file == "pipeline" else Kind.REQUEST, identifier, place)
