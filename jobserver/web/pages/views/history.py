"""A page as it was: the commit that a page's ``at`` names."""

import re
from datetime import UTC, datetime

from jobserver.domain.base import names
from jobserver.errors import invalid
from jobserver.store.git.cat_file import tip_at
from jobserver.store.git.command import commit_of, is_ancestor
from jobserver.store.repo import StateRepo

_SHA = re.compile(names.SHA)


def branch_ref(branch: str) -> str:
    """The full name: git would find a tag or a file of the short name first."""
    return f"refs/heads/{branch}"


def is_in_history(repo: StateRepo, branch: str, text: str) -> bool:
    """Whether ``text`` is the id of a commit of the branch."""
    return _SHA.fullmatch(text) is not None and is_ancestor(repo.path, text, branch_ref(branch))


def commit_at(repo: StateRepo, branch: str, text: str, now: datetime) -> str:
    """The commit of ``branch`` with this id (or its first 7 or more digits), or the newest one at this time.

    Raises `Error` (invalid).
    """
    try:
        if 7 <= len(text) <= 40 and all(char in "0123456789abcdef" for char in text):
            sha = commit_of(repo.path, text)
            if sha is None:
                raise invalid(f"commit {text} does not exist", "at")
            if is_in_history(repo, branch, sha):
                return sha
            raise invalid(f"commit {text} is not in the history of {branch}", "at")
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise invalid("expected a commit id, or a time such as 2026-11-24T09:30:00Z", "at") from None
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    if moment > now:
        raise invalid(f"{text} is in the future", "at")
    tip = tip_at(repo.path, branch_ref(branch), int(moment.timestamp()))
    if tip is None:
        raise invalid(f"{text} is before the first change", "at")
    return tip
