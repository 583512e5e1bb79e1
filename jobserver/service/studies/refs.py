"""Which commit a person means by a branch, a tag or a commit's id. Pure: the sources look refs and commits up.

A commit counts only if a branch of the repository contains it, as runners demand too: GitHub serves the commits of
every fork as if they were the repository's own.
"""

import re
from collections.abc import Collection, Iterator
from typing import Protocol

from jobserver.domain.job_requests.refs import HEADS, TAGS, in_words, is_name
from jobserver.errors import Error, invalid, some
from jobserver.service.studies.base import StudyRef

_ID = re.compile(r"[0-9a-fA-F]{7,40}")
_FULL = 40
_SHOWN = 100  # characters


class StudyRefs(Protocol):
    """The refs and commits of one repository."""

    def commit_of(self, ref: str) -> str | None:
        """The commit of ``refs/heads/...`` or ``refs/tags/...``; None if there is no such ref, or it has no commit."""
        ...

    def commits(self, start: str) -> Collection[str]:
        """The ids of the commits whose id begins so, of forks too. Two are enough."""
        ...

    def branch_with(self, sha: str, own: str) -> str | None:
        """A branch that contains the commit: ``own`` if that does. Raises `Error` (invalid) if it can't tell."""
        ...


def chosen_ref(refs: StudyRefs, text: str, own: str) -> StudyRef | None:
    """``own``: the branch of the workspace. None if there is no such ref and no such commit. Raises `Error` (invalid)
    for a ref that is ambiguous, and for a commit that no branch contains."""
    matches = dict(_matches(refs, text))
    if len(matches) > 1:
        raise invalid(f"{text!r} is ambiguous: write {some(list(matches), ' or ')}", "ref")
    for name, sha in matches.items():
        if name.startswith(HEADS):
            return StudyRef(name, sha, name.removeprefix(HEADS))
        branch = refs.branch_with(sha, own)
        if branch is None:
            raise invalid(f"{in_words(name)} is not on any branch of the repository: push it to one first", "ref")
        return StudyRef(name, sha, branch)
    return None


def unknown_ref(text: str) -> Error:
    shown = text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."
    return invalid(f"the repository has no branch, tag or commit {shown!r}", "ref")


def _matches(refs: StudyRefs, text: str) -> Iterator[tuple[str, str]]:
    """(the ref in full or the commit's id, the commit) of everything that ``text`` can mean."""
    is_id = _ID.fullmatch(text) is not None
    if not (is_id and len(text) == _FULL):
        names = [text] if text.startswith((HEADS, TAGS)) else [f"{HEADS}{text}", f"{TAGS}{text}"]
        for name in names:
            if is_name(name.split("/", 2)[2]) and (sha := refs.commit_of(name)) is not None:
                yield name, sha
    if is_id:
        yield from ((sha, sha) for sha in refs.commits(text.lower()))
