"""The commits between two commits of a study on GitHub. GitHub shows the diff, to those who may see the repository.

May import PyGithub and this package.
"""

from datetime import UTC
from itertools import islice

from github import UnknownObjectException
from github.Commit import Commit
from github.Repository import Repository

from jobserver.service.studies.base import SHOWN_COMMITS, StudyChanges, StudyCommit, check_sha, subject_of

_READ = 250  # one answer of GitHub has as many


def commits_between(opened: Repository, old: str, new: str) -> StudyChanges | None:
    """None if the repository lacks one of the commits. Raises what PyGithub raises, too."""
    if not check_sha(old) or not check_sha(new):
        return None
    try:
        comparison = opened.compare(old, new)
        commits = [_described(commit) for commit in islice(comparison.commits, _READ)]  # oldest first
    except UnknownObjectException:
        return None
    is_cut = comparison.total_commits > min(len(commits), SHOWN_COMMITS)
    return StudyChanges(tuple(commits[: -SHOWN_COMMITS - 1 : -1]), (), is_cut)


def _described(commit: Commit) -> StudyCommit:
    known = commit.commit
    author, committed_at = str(known.author.name), known.committer.date
    return StudyCommit(commit.sha, subject_of(str(known.message)), author, committed_at.astimezone(UTC))
