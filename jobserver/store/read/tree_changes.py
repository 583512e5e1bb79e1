"""Commits that others made, as what they change: the store's side of judging a push and of replaying history.

Between two trees stand files; what `admit` judges are changes of documents, and moves of whole job requests.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime

from jobserver.domain.base import layout, names
from jobserver.domain.base.layout import Area, Kind
from jobserver.domain.base.state import Change, Changes, Move
from jobserver.domain.documents import MODELS, AnyDocument
from jobserver.errors import Error, Fault, invalid
from jobserver.store.git import trees
from jobserver.store.git.diff import Difference, diff
from jobserver.store.git.objects import Objects
from jobserver.store.read.validate import OTHERS, is_no_document, read_document
from jobserver.store.yaml.nodes import has_comments

MAX_FILES = 20_000  # changed by one commit
_MAX_FOLDERS = 3 * MAX_FILES  # a job request that moves is two, and the last of its day takes that along
_EXECUTABLE = b"100755"
_KINDS = {b"120000": "a symbolic link", b"160000": "a submodule", _EXECUTABLE: "an executable"}
_WHO = re.compile(rb"([^<\n]*) <([^>\n]*)> (\d+) ([+-]\d{4})")
# By these people and programs find who did what: what the server's commits say, and nobody else's.
_OURS = frozenset(
    {"event", "actor", "branch", "policy", "request-id", "idempotency-key", "via", "main", "number", "server"}
    | {"retired", "job-request", "workspace", "project", "pusher", "ref", "release", "backend-user", "sha256"}
)
_SHA = re.compile(names.SHA.encode())
_TRAILER = re.compile(r"^([A-Za-z][A-Za-z0-9-]*): (.*)$")
_READ_BY_GIT = re.compile(r"^([A-Za-z0-9-]+)[ \t]*:", re.MULTILINE)  # in a paragraph that git finds fit


@dataclass(frozen=True, slots=True)
class Commit:
    """A commit's fields. ``tree`` in 20 bytes; ``parents`` and ``sha`` in hex; ``time`` the committer's.

    ``signed`` is what ``signature`` (armoured; empty: none) is of. ``encoding``: what the message says to be in, all of
    it: of several, readers choose differently.
    """

    sha: str
    tree: bytes
    parents: tuple[str, ...]
    author: str
    time: int
    message: str
    signature: bytes = b""
    signed: bytes = b""
    encoding: str = ""

    @property
    def subject(self) -> str:
        return self.message.partition("\n")[0]

    @property
    def at(self) -> datetime:
        return datetime.fromtimestamp(self.time, UTC)

    @property
    def is_servers(self) -> bool:
        """Whether it says to be the server's: of what was pushed, nothing that was judged does. Who signed it, is for
        `audit.signers` to say."""
        return bool(self.signature and self.trailer("Event"))

    def trailers(self) -> list[tuple[str, str]]:
        """Those of the last paragraph, as the server writes them; git reads more."""
        lines = self.message.rstrip("\n").rpartition("\n\n")[2].split("\n")
        found = [_TRAILER.match(line) for line in lines]
        return [(one[1], one[2]) for one in found if one] if all(found) else []

    def trailer(self, key: str) -> str:
        """The first of this key; empty if there is none."""
        return next((value for name, value in self.trailers() if name == key), "")


def parse_commit(sha: str, raw: bytes) -> Commit:
    """Raises `Error` (invalid) for bytes that are no commit as git makes them."""
    head, _, message = raw.partition(b"\n\n")
    tree, author, committer, signature, encoding = b"", b"", b"", b"", b""
    parents: list[bytes] = []
    unsigned: list[bytes] = []
    lines = iter(head.split(b"\n"))
    key = b""
    for line in lines:
        if line.startswith(b" "):
            if key == b"gpgsig":
                signature += b"\n" + line[1:]
            else:
                unsigned.append(line)
            continue
        key, _, value = line.partition(b" ")
        if key == b"gpgsig":
            signature = value
            continue
        unsigned.append(line)
        if key == b"tree":
            tree = value
        elif key == b"parent":
            parents.append(value)
        elif key == b"author":
            author = value
        elif key == b"committer":
            committer = value
        elif key == b"encoding":
            encoding += b", " + value if encoding else value
    who, when = _WHO.fullmatch(author), _WHO.fullmatch(committer)
    if not all(map(_SHA.fullmatch, [tree, *parents])) or not who or not when or len(when[3]) > 11:
        raise invalid("not a commit that can be read", sha)
    email = who[2].decode("utf-8", "replace")
    signed = b"\n".join(unsigned) + b"\n\n" + message
    text = message.decode("utf-8", "replace")
    before = tuple(parent.decode() for parent in parents)
    written_in = encoding.decode("utf-8", "replace")
    return Commit(sha, bytes.fromhex(tree.decode()), before, email, int(when[3]), text, signature, signed, written_in)


MERGE = "is a merge: rebase instead; the history of a branch is a line"
LOST = "its comments stay in this commit only: the server's next write of the file leaves them out"


@dataclass(slots=True)
class TreeChanges:
    """What one commit changes. ``others`` are files that hold no document and may stand there (README.md).

    ``unread`` are paths of documents that come and can't be read: what becomes of them, ``changes`` does not say.
    ``comments``: path -> whether the document that comes there has any, which the server's next write of it leaves out.
    """

    changes: Changes
    faults: list[Fault] = field(default_factory=list)
    others: list[str] = field(default_factory=list)
    unread: list[str] = field(default_factory=list)
    comments: dict[str, bool] = field(default_factory=dict)

    @property
    def keys(self) -> list[Fault]:
        return [
            Fault("is the server's to write", path) for path in self.others if path != "README.md" and path in OTHERS
        ]


def read_changes(
    objects: Objects,
    branch: str,
    before: bytes | None,
    after: bytes,
    event: str = "pushed",
    unread: Kind | None = None,
) -> TreeChanges:
    """What lies between two trees of ``branch``, as changes and moves, with every fault of the files themselves.

    Documents that stood there and can't be read count as not there: mending them is allowed. Those of the kind
    ``unread`` are not looked into, and named in ``others``: they are large, and not whoever pushes may change them.
    Raises `Error` (invalid) for a commit too large or too deep to be judged.
    """
    found: dict[str, Difference] = {}
    for one in diff(objects, before, after, _MAX_FOLDERS):
        found[one.path] = one
        if len(found) > MAX_FILES:
            raise invalid(f"one commit changes more than {MAX_FILES} files")
    moves = _moves(branch, found)
    result = TreeChanges(Changes(branch, event, ""))
    changes: list[Change] = []
    for path, (old, new, mode) in _moved(found, moves).items():
        where = layout.parse_path(branch, path)
        if where is not None and where.kind is unread:
            result.others.append(path)
            continue
        is_other = is_no_document(branch, path)
        if new is not None and mode != trees.FILE and not (is_other and mode == _EXECUTABLE):
            result.faults.append(Fault(f"is {_KINDS.get(mode, 'no ordinary file')}: expected a file", path))
            continue
        if is_other:
            result.others.append(path)
            continue
        stood = None if old is None else _read(objects, branch, path, old)[0]
        stands: AnyDocument | None = None
        if new is not None:
            stands, faults = _read(objects, branch, path, new, result.comments)
            result.faults += faults
            if faults:
                if layout.parse_path(branch, path) is not None:
                    result.unread.append(path)
                continue
        if stands is not None or stood is not None:
            changes.append(Change(path, stood, stands))
        elif new is None and layout.parse_path(branch, path) is None:
            continue  # away with what never should have stood there
    result.changes = Changes(branch, event, "", tuple(changes), tuple(moves))
    return result


def _read(
    objects: Objects, branch: str, path: str, blob: bytes, comments: dict[str, bool] | None = None
) -> tuple[AnyDocument | None, list[Fault]]:
    known, where = objects.known(blob), layout.parse_path(branch, path)
    if where is not None and isinstance(known, MODELS[where.kind]):
        return known, []  # the same bytes at another path: the names in them are judged by `admit`
    try:
        data = objects.blob(blob)
    except Error as error:
        return None, [Fault(error.message, path)]
    document, faults = read_document(branch, path, data)
    if document is not None:
        objects.remember_document(blob, document)
        if comments is not None:
            comments[path] = has_comments(data)
    return document, faults


def _moves(branch: str, found: dict[str, Difference]) -> list[Move]:
    moves = []
    for path, one in found.items():
        where = layout.parse_path(branch, path)
        if where is None or where.kind is not Kind.REQUEST or one.old is None or one.new is not None:
            continue
        place = where.place
        assert place is not None
        to = Area.ARCHIVE if place.area is Area.ACTIVE else Area.ACTIVE
        target = found.get(place.moved(to).request)
        if target is not None and target.old is None:
            moves.append(Move(place, to))
    return moves


def _moved(found: dict[str, Difference], moves: Iterable[Move]) -> dict[str, tuple[bytes | None, bytes | None, bytes]]:
    """path -> (old, new, mode), with what moved standing where it went, and nothing said of what only moved."""
    result = {path: (one.old, one.new, one.mode) for path, one in found.items()}
    for move in moves:
        source, target = move.place.folder + "/", move.place.moved(move.to).folder + "/"
        for path in [path for path in result if path.startswith(source)]:
            old, new, _ = result[path]
            if new is not None:
                continue  # something stays behind: a fault of its own, no part of the move
            del result[path]
            beside = target + path[len(source) :]
            _, now, mode = result.get(beside, (None, None, trees.FILE))
            if now == old and mode == trees.FILE:
                result.pop(beside, None)
            else:
                result[beside] = (old, now, mode)
    return result


def reserved_trailers(commit: Commit) -> list[str]:
    """Of what a message says, the trailers that only the server may write, as they are spelt.

    Anywhere in it, and in any spelling that git reads: where the last paragraph begins, each reader sees differently.
    """
    return list(dict.fromkeys(key for key in _READ_BY_GIT.findall(commit.message) if key.lower() in _OURS))


def forgeries(commit: Commit, before: int) -> list[str]:
    """What a commit that was not made by the server may not say of itself; ``before``: the time of its parent."""
    found = [f"the trailer {key}: is the server's to write" for key in reserved_trailers(commit)]
    if commit.encoding.lower() not in ("", "utf-8", "utf8"):
        found.append(f"its message is in {commit.encoding}: expected UTF-8")
    if "\0" in commit.message:
        found.append("its message has a NUL, behind which git shows nothing")
    if commit.time < before:
        times = (f"{datetime.fromtimestamp(time, UTC):%Y-%m-%d %H:%M:%S}" for time in (commit.time, before))
        found.append("is of {} UTC, and the commit before it of {}: set the clock".format(*times))
    return found
