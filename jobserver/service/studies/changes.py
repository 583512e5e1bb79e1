"""What changed in a local study between two commits: the commits and the files, within limits.

May import errors, dulwich and this package.
"""

import difflib
import heapq
import itertools
from collections.abc import Iterator
from datetime import UTC, datetime
from stat import S_ISDIR, S_ISREG

from dulwich.objects import Blob, Commit, Tree

from jobserver.service.studies.base import SHOWN_COMMITS, StudyChanges, StudyCommit
from jobserver.service.studies.enclosed import OpenRepository

_COMMITS = 1000  # that are read
_FOLDERS = 500
_FILES = 50
_FILE_BYTES = 200_000
_LINES = 2000  # of all files together


def changes(opened: OpenRepository, old: str, new: str) -> StudyChanges | None:
    """From the commit ``old`` to ``new``. None if the repository lacks one of them."""
    before, after = (opened.object(sha.encode()) for sha in (old, new))
    if not isinstance(before, Commit) or not isinstance(after, Commit):
        return None
    commits = _commits(opened, before, after)
    files = list(itertools.islice(_files(opened, before.tree, after.tree, "", itertools.count()), _FILES + 1))
    lines = [line for path, *pair in files[:_FILES] for line in _lines(opened, path, *pair)]
    is_cut = len(files) > _FILES or len(lines) > _LINES or len(commits) > SHOWN_COMMITS
    return StudyChanges(tuple(commits[:SHOWN_COMMITS]), tuple(lines[:_LINES]), is_cut)


def _commits(opened: OpenRepository, before: Commit, after: Commit) -> list[StudyCommit]:
    """Those that ``after`` contains and ``before`` does not, newest first."""
    is_new = {after.id: True, before.id: False}
    unread = [(-commit.commit_time, number, commit) for number, commit in enumerate((before, after))]
    heapq.heapify(unread)
    order = itertools.count(2)
    commits: list[Commit] = []
    for _ in range(_COMMITS):
        if not any(is_new[commit.id] for _, _, commit in unread):
            break
        _, _, commit = heapq.heappop(unread)
        if is_new[commit.id]:
            commits.append(commit)
        for parent in commit.parents:
            known = is_new.get(parent)
            is_new[parent] = is_new[commit.id] if known is None else known and is_new[commit.id]
            if known is None and isinstance(older := opened.object(parent), Commit):
                heapq.heappush(unread, (-older.commit_time, next(order), older))
    return [_described(commit) for commit in commits if is_new[commit.id]]


def _described(commit: Commit) -> StudyCommit:
    subject = commit.message.decode("utf-8", "replace").strip().partition("\n")[0][:200]
    author = commit.author.decode("utf-8", "replace").partition("<")[0].strip()
    return StudyCommit(commit.id.decode(), subject, author, datetime.fromtimestamp(commit.commit_time, UTC))


def _files(
    opened: OpenRepository, old: bytes | None, new: bytes | None, folder: str, entered: "itertools.count[int]"
) -> Iterator[tuple[str, bytes | None, bytes | None]]:
    """(path, blob before, blob after) of each file that differs."""
    if old == new or next(entered) > _FOLDERS:
        return
    before, after = _entries(opened, old), _entries(opened, new)
    for name in sorted(before.keys() | after.keys()):
        pair = (before.get(name), after.get(name))
        if pair[0] == pair[1]:
            continue
        path = folder + name.decode("utf-8", "replace")
        folders = [entry[1] if entry and S_ISDIR(entry[0]) else None for entry in pair]
        if any(folders):
            yield from _files(opened, folders[0], folders[1], f"{path}/", entered)
        files = [entry[1] if entry and S_ISREG(entry[0]) else None for entry in pair]
        if files[0] != files[1]:
            yield path, files[0], files[1]


def _entries(opened: OpenRepository, sha: bytes | None) -> dict[bytes, tuple[int, bytes]]:
    tree = opened.object(sha) if sha is not None else None
    return {entry.path: (entry.mode, entry.sha) for entry in tree.iteritems()} if isinstance(tree, Tree) else {}


def _lines(opened: OpenRepository, path: str, old: bytes | None, new: bytes | None) -> list[str]:
    texts = [_text(opened, sha) for sha in (old, new)]
    names = [path if sha is not None else "/dev/null" for sha in (old, new)]
    if None in texts:
        return [f"--- {names[0]}", f"+++ {names[1]}", "(not text, or too large to show)"]
    before, after = ((text or "").splitlines() for text in texts)
    return list(difflib.unified_diff(before, after, names[0], names[1], lineterm=""))


def _text(opened: OpenRepository, sha: bytes | None) -> str | None:
    """None for what is no text, or too large."""
    if sha is None:
        return ""
    blob = opened.object(sha)
    if not isinstance(blob, Blob) or blob.raw_length() > _FILE_BYTES or b"\0" in blob.data[:8000]:
        return None
    return blob.data.decode("utf-8", "replace")
