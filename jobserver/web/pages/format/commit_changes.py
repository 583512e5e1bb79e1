"""What a commit changed, as lines to show: files that only moved to the archive or back are counted. Pure."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from jobserver.domain.base import layout

MOST_BYTES = 100_000  # of one commit
MOST_FILE_BYTES = 500_000  # of a file: of a larger one, only the name is shown
MOST_FILES = 1000  # of one commit: git takes long to compare more
_FILES = re.compile(r"^(?=diff --git )", re.MULTILINE)
_NOISE = ("diff ", "index ", "new file", "deleted file", "similarity ")
# git says "binary" of large files too, see MOST_FILE_BYTES.
_CONTENTS_LEFT_OUT = re.compile(r"^Binary files (?:/dev/null|a/(?P<old>\S+)) and (?:/dev/null|b/(?P<new>\S+)) differ$")
_JOB = re.compile(r"^(?:---|\+\+\+) [ab]/\S+/jobs/([A-Za-z0-9_-]+)\.yaml$", re.MULTILINE)
_STATUS = re.compile(r"^\+status: (\w+)$", re.MULTILINE)
_AREA_MOVE = re.compile(r"^rename from (active|archive)/.*\nrename to (active|archive)/", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class CommitChanges:
    """``lines``: of the diff. ``archived`` and ``restored``: the number of files that moved to the archive or back
    and did not change. ``more``: the number of lines that are left out. ``jobs``: job -> its new status; empty if the
    status is the same or the job was removed. ``files``: the number of changed files of a commit that has too many to
    show."""

    lines: Sequence[str] = ()
    archived: int = 0
    restored: int = 0
    more: int = 0
    jobs: Mapping[str, str] = field(default_factory=dict)
    files: int = 0


def commit_changes(diff: str | int) -> CommitChanges:
    """``diff``: of one commit, as ``git log --patch -M`` prints it; or only the number of its files."""
    if isinstance(diff, int):
        return CommitChanges(files=diff)
    parts = [part for part in _FILES.split(diff) if part.strip()]
    changed = [part for part in parts if "\n@@ " in part or not _AREA_MOVE.search(part)]
    targets = [move[2] for part in parts if part not in changed and (move := _AREA_MOVE.search(part))]
    # The pipeline last: it is long, and the other files show what happened.
    changed.sort(key=lambda part: layout.PIPELINE_FILE in part.partition("\n")[0])
    lines = [line for part in changed for line in _shown(part)]
    kept, size = 0, 0
    for line in lines:
        size += len(line.encode(errors="surrogateescape")) + 1
        if size > MOST_BYTES:
            break
        kept += 1
    archived = targets.count("archive")
    return CommitChanges(lines[:kept], archived, len(targets) - archived, len(lines) - kept, _jobs(changed))


def _shown(part: str) -> list[str]:
    noise = (*_NOISE, "rename ") if _AREA_MOVE.search(part) else _NOISE
    head, hunks, body = part.partition("\n@@ ")
    lines = [_without_contents(line) for line in head.splitlines() if not line.startswith(noise)]
    return [*lines, *f"@@ {body}".splitlines()] if hunks else lines


def _without_contents(line: str) -> str:
    match = _CONTENTS_LEFT_OUT.fullmatch(line)
    return f"{match['new'] or match['old']} is not shown" if match else line


def _jobs(parts: Sequence[str]) -> dict[str, str]:
    jobs = {}
    for part in parts:
        head, _, body = part.partition("\n@@ ")
        status = _STATUS.search(body)
        if names := _JOB.findall(head):
            jobs[names[-1]] = status[1] if status else ""
    return jobs
