"""The refs and commits of a local study, read from an open repository.

May import errors, dulwich and this package.
"""

import heapq
import itertools

from dulwich.objects import Commit, Tag
from dulwich.refs import Ref

from jobserver.domain.job_requests.refs import HEADS
from jobserver.errors import invalid
from jobserver.service.studies.base import check_sha
from jobserver.service.studies.enclosed import OpenRepository

_MOST_COMMITS = 20_000  # that are read to find the branch of one
_MOST_TAGS = 10  # that name each other


class LocalRefs:
    """Implements `StudyRefs`."""

    def __init__(self, opened: OpenRepository) -> None:
        self._opened = opened
        self._unread = _MOST_COMMITS

    def commit_of(self, ref: str) -> str | None:
        try:
            sha = self._opened.refs[Ref(ref.encode())]
        except KeyError:
            return None
        for _ in range(_MOST_TAGS):
            item = self._opened.object(sha) if check_sha(sha.decode("latin-1")) else None
            if not isinstance(item, Tag):
                return sha.decode() if isinstance(item, Commit) else None
            sha = item.object[1]
        return None

    def commits(self, start: str) -> list[str]:
        shas = (sha for sha in self._opened.ids(start.encode()) if isinstance(self._opened.object(sha), Commit))
        return [sha.decode() for sha in itertools.islice(shas, 2)]

    def branch_with(self, sha: str, own: str) -> str | None:
        tips = {
            name.decode("utf-8", "replace"): tip
            for name, tip in self._opened.refs.as_dict(Ref(HEADS.encode())).items()
            if check_sha(tip.decode("latin-1"))  # a file of a branch may have anything in it
        }
        seen: set[bytes] = set()
        for branch in sorted(tips, key=lambda name: (name != own, name)):
            if self._leads_to(tips[branch], sha.encode(), seen):
                return branch
        return None

    def _leads_to(self, tip: bytes, wanted: bytes, seen: set[bytes]) -> bool:
        """Whether ``tip`` contains the commit ``wanted``. ``seen``: commits that do not; adds those that it reads."""
        order = itertools.count()
        newest: list[tuple[int, int, Commit]] = []  # first, as most people choose a commit of late
        waiting = [tip]
        while waiting or newest:
            for sha in waiting:
                if sha == wanted:
                    return True
                if sha in seen:
                    continue
                seen.add(sha)
                self._unread -= 1
                if isinstance(commit := self._opened.object(sha), Commit):  # a shallow clone lacks the oldest
                    heapq.heappush(newest, (-commit.commit_time, next(order), commit))
            if self._unread < 0:
                raise invalid(
                    f"the commit is not among the last {_MOST_COMMITS} of the branches: create a branch at it", "ref"
                )
            waiting = list(heapq.heappop(newest)[2].parents) if newest else []
        return False
