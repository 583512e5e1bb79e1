"""What a commit changes, as changes of documents: for judging a push, and for replaying history.

Trees differ by files; `admit` judges changes of documents, and moves of whole job requests.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

from jobserver.domain.base import layout
from jobserver.domain.base.layout import Area, Kind
from jobserver.domain.base.state import PUSHED, Change, Changes, Move
from jobserver.domain.documents import MODELS, AnyDocument
from jobserver.errors import Error, Fault, invalid
from jobserver.store.git import trees
from jobserver.store.git.diff import Difference, diff
from jobserver.store.git.objects import Objects
from jobserver.store.read.validate import OTHER_FILES, is_no_document, read_document

MAX_FILES = 20_000  # changed by one commit
_MAX_FOLDERS = 3 * MAX_FILES  # a job request that moves is two folders, and its day may be a third
_EXECUTABLE = b"100755"
_KINDS = {b"120000": "a symbolic link", b"160000": "a submodule", _EXECUTABLE: "an executable"}


MERGE = "is a merge: rebase instead; a branch has a linear history"


@dataclass(slots=True)
class TreeChanges:
    """What one commit changes. ``others``: allowed files that are not documents (README.md).

    ``unread``: paths of new documents that can't be read, which ``proposed`` leaves out.
    """

    proposed: Changes
    faults: list[Fault] = field(default_factory=list)
    others: list[str] = field(default_factory=list)
    unread: list[str] = field(default_factory=list)

    @property
    def keys(self) -> list[Fault]:
        return [
            Fault("only the server may write this file", path)
            for path in self.others
            if path != "README.md" and path in OTHER_FILES
        ]


def read_changes(
    objects: Objects,
    branch: str,
    before: bytes | None,
    after: bytes,
    event: str = PUSHED,
    unread: Kind | None = None,
) -> TreeChanges:
    """The changes and moves between two trees of ``branch``, and every fault of the files.

    Old documents that can't be read count as missing, so that a push may fix them. Documents of the kind ``unread`` are
    large and not for pushes to change: they are not read, and are listed in ``others``. Raises `Error` (invalid) for a
    commit that is too large or too deep to be judged.
    """
    differences: dict[str, Difference] = {}
    for difference in diff(objects, before, after, _MAX_FOLDERS):
        differences[difference.path] = difference
        if len(differences) > MAX_FILES:
            raise invalid(f"one commit changes more than {MAX_FILES} files")
    moves = _moves(branch, differences)
    result = TreeChanges(Changes(branch, event, ""))
    changes: list[Change] = []
    for path, (old, new, mode) in _moved(differences, moves).items():
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
            stands, faults = _read(objects, branch, path, new)
            result.faults += faults
            if faults:
                if layout.parse_path(branch, path) is not None:
                    result.unread.append(path)
                continue
        if stands is not None or stood is not None:
            changes.append(Change(path, stood, stands))
        elif new is None and layout.parse_path(branch, path) is None:
            continue  # a file is removed that was never allowed
    result.proposed = Changes(branch, event, "", tuple(changes), tuple(moves))
    return result


def _read(objects: Objects, branch: str, path: str, blob: bytes) -> tuple[AnyDocument | None, list[Fault]]:
    known, where = objects.known(blob), layout.parse_path(branch, path)
    if where is not None and isinstance(known, MODELS[where.kind]):
        return known, []  # the same bytes at another path: `admit` judges the names in them
    try:
        data = objects.blob(blob)
    except Error as error:
        return None, [Fault(error.message, path)]
    document, faults = read_document(branch, path, data)
    if document is not None:
        objects.remember_document(blob, document)
    return document, faults


def _moves(branch: str, differences: dict[str, Difference]) -> list[Move]:
    moves = []
    for path, difference in differences.items():
        where = layout.parse_path(branch, path)
        if where is None or where.kind is not Kind.REQUEST or difference.old is None or difference.new is not None:
            continue
        place = where.place
        assert place is not None
        to = Area.ARCHIVE if place.area is Area.ACTIVE else Area.ACTIVE
        target = differences.get(place.moved(to).request)
        if target is not None and target.old is None:
            moves.append(Move(place, to))
    return moves


def _moved(
    differences: dict[str, Difference], moves: Iterable[Move]
) -> dict[str, tuple[bytes | None, bytes | None, bytes]]:
    """path -> (old, new, mode). Files of a moved request are at their new path, and left out if they only moved."""
    result = {path: (file.old, file.new, file.mode) for path, file in differences.items()}
    for move in moves:
        source, target = move.place.folder + "/", move.place.moved(move.to).folder + "/"
        for path in [path for path in result if path.startswith(source)]:
            old, new, _ = result[path]
            if new is not None:
                continue  # a file stays behind, which is a fault of its own
            del result[path]
            beside = target + path[len(source) :]
            _, now, mode = result.get(beside, (None, None, trees.FILE))
            if now == old and mode == trees.FILE:
                result.pop(beside, None)
            else:
                result[beside] = (old, now, mode)
    return result
