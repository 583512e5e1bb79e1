"""Releases: files that a backend let out of its secure environment.

The files are outside of git. A release is one commit whose trailers describe it; among them is a digest of all files,
so that nobody can exchange a file without a trace.
"""

import hashlib
import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Annotated, TypeAlias

from pydantic import Field

from jobserver.domain.base import names
from jobserver.domain.base.permissions import SEE_RELEASES, Actor, Permission
from jobserver.domain.base.rights import Rights, permissions_of
from jobserver.domain.base.state import Changes, Main, State
from jobserver.domain.base.validation import checked
from jobserver.domain.base.values import Document, Line, WorkspaceName, named
from jobserver.domain.users import User
from jobserver.domain.workspaces import Workspace
from jobserver.errors import Error, Fault, forbidden

EVENT = "release.uploaded"
IMPORTED = "release.imported"
MANIFEST = "metadata/manifest.json"
MAX_FILES = 2_000
MAX_BYTES = 256 * 1024 * 1024
MAX_MANIFEST = 4 * 1024 * 1024  # bytes, of JSON: read, it takes thirty times as much
MAX_USER = 200
_MAX_PATH, _MAX_PART, _MAX_DEPTH = 1000, 255, 32  # bytes, bytes, folders
# Windows opens devices by these names, with any extension; people take these files there.
_DEVICES = re.compile(r"(?i)(con|prn|aux|nul|com[0-9¹²³]|lpt[0-9¹²³])(\..*)?")

_RELEASE_ID = re.compile(names.RELEASE_ID)


class Release(Document):
    """What the record says of a release. ``identifier`` is the MD5 that runners name it by, ``sha256`` is `digest`'s.

    ``user`` is who let it out, as the backend says; `admit` looks whether they may.
    """

    workspace: WorkspaceName
    identifier: Annotated[str, named(names.RELEASE_ID)]
    user: Annotated[Line, Field(min_length=1, max_length=MAX_USER)]
    files: Annotated[int, Field(ge=1)]
    size: Annotated[int, Field(ge=0)]
    sha256: Annotated[str, named(names.DIGEST)]

    def trailers(self) -> tuple[tuple[str, str], ...]:
        return tuple((key, str(getattr(self, name))) for key, name in _TRAILERS)


_TRAILERS = (
    ("Workspace", "workspace"),
    ("Release", "identifier"),
    ("Backend-User", "user"),
    ("Files", "files"),
    ("Bytes", "size"),
    ("Sha256", "sha256"),
)


def read_trailers(trailers: Sequence[tuple[str, str]]) -> Release:
    """The release that a commit's trailers speak of. Raises `Error` (invalid)."""
    values_by_key = dict(reversed(trailers))  # of several the first, as everywhere
    values: dict[str, object] = {name: values_by_key[key] for key, name in _TRAILERS if key in values_by_key}
    for name in ("files", "size"):
        text = str(values.get(name, ""))
        if text.isascii() and text.isdecimal() and len(text) < 19:
            values[name] = int(text)
    return checked(Release, values)


@dataclass(frozen=True, slots=True)
class RecordRelease:
    """The files are on the disk already, but nobody can see them yet."""

    backend: str
    release: Release


Command: TypeAlias = RecordRelease


def plan(state: State, command: Command, actor: Actor) -> Changes:
    release = command.release
    count = "1 file" if release.files == 1 else f"{release.files} files"
    subject = f"{actor.name} released {count} of {release.workspace}"
    return Changes(state.branch, EVENT, subject, trailers=release.trailers(), release=release)


def check_right(rights: Rights, release: Release, policy: int) -> None:
    """Raises `Error` (forbidden) unless the actor is the branch's backend. A SuperUser cannot speak for a backend."""
    if rights.is_server and rights.changes.event == IMPORTED:
        return
    rights.need(rights.is_own_backend, f"release files of {release.workspace} on {rights.changes.branch}")
    # A workspace that does not exist is a fault, which `faults` finds.
    is_known = rights.state.workspace(release.workspace) is not None
    if policy >= 2 and is_known and not may_release(rights.state, release.user, release.workspace):
        raise no_releaser(release.user, release.workspace)


def faults(state: State, release: Release) -> list[Fault]:
    if state.workspace(release.workspace) is not None:
        return []
    return [Fault(f"workspace {release.workspace!r} does not exist", key="workspace")]


def may_release(main: Main, username: str, workspace: str) -> bool:
    """Whether this person may let files of ``workspace`` out of a backend."""
    user, document = main.user(username), main.workspace(workspace)
    if user is None or document is None:
        return False
    return Permission.UPLOAD_RELEASE in permissions_of(main, user, document.project)


def may_view(main: Main, user: User, workspace: Workspace) -> bool:
    """Whether this person may see and download what was released of ``workspace``."""
    return not permissions_of(main, user, workspace.project).isdisjoint(SEE_RELEASES)


def no_releaser(username: str, workspace: str) -> Error:
    return forbidden(f"Backend-User not valid: {username} is not an active user who can release files of {workspace}")


def is_release_id(text: str) -> bool:
    return _RELEASE_ID.fullmatch(text) is not None


def is_user(text: str) -> bool:
    """Whether this can stand in one line of the record."""
    return 0 < len(text) <= MAX_USER and text.isprintable() and not text.isspace()


@dataclass(frozen=True, slots=True)
class ReleaseFile:
    """``path`` is relative, with slashes; ``size`` in bytes; ``sha256`` in hex, of the contents."""

    path: str
    size: int
    sha256: str


def listing(files: Iterable[ReleaseFile]) -> str:
    """What `sha256sum` prints of the files, by path: ``sort`` and ``sha256sum`` are all that a check of it needs."""
    return "".join(f"{file.sha256}  {file.path}\n" for file in sorted(files, key=lambda file: file.path.encode()))


def digest(files: Iterable[ReleaseFile]) -> str:
    return hashlib.sha256(listing(files).encode()).hexdigest()


def path_fault(path: str) -> str:
    """Why no file may have this path; empty if one may."""
    parts = path.split("/")
    if not path.isprintable() or not path.strip():
        return "is empty, or has characters that cannot be printed"
    if "\\" in path or re.match(r"[A-Za-z]:", path) or path.startswith("/"):
        return "is not relative, or has a backslash"
    if any(part in ("", ".", "..") for part in parts):
        return "has an empty part, . or .."
    if any(_DEVICES.fullmatch(part) or part.endswith((".", " ")) or part.startswith(" ") for part in parts):
        return "has a name that Windows does not allow"
    sizes = [len(part.encode()) for part in parts]  # what can be printed can be encoded
    if max(sizes) > _MAX_PART or sum(sizes) + len(parts) > _MAX_PATH or len(parts) > _MAX_DEPTH:
        return f"is longer than {_MAX_PATH} bytes ({_MAX_PART} for a name), or deeper than {_MAX_DEPTH} folders"
    return ""


def clashes(paths: Iterable[str]) -> list[str]:
    """What is wrong between paths: two that differ by case or the encoding of accents only, a file that is a folder."""
    seen: dict[str, str] = {}
    folders: dict[str, str] = {}
    faults = []
    for path in paths:
        parts = _folded(path).split("/")
        if (other := seen.setdefault("/".join(parts), path)) != path:
            faults.append(f"{path!r} and {other!r} are the same file on some systems")
        for depth in range(1, len(parts)):
            folder = "/".join(path.split("/")[:depth])
            if (other := folders.setdefault("/".join(parts[:depth]), folder)) != folder:
                faults.append(f"the folders {folder!r} and {other!r} are the same on some systems")
    faults += [f"{path!r} is a file and a folder" for folded, path in seen.items() if folded in folders]
    return faults


def _folded(path: str) -> str:
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", path).casefold())
