"""Makes, comments, labels and closes GitHub issues.

A change may arrive twice, because the server can end between GitHub's answer and the note that it was sent. So issues
and comments end with a mark that people do not see, and what has its mark is not made again.
"""

from hashlib import sha256
from itertools import islice
from time import monotonic
from typing import TYPE_CHECKING

from jobserver.errors import Error, invalid, unavailable
from jobserver.service.accounts.private_store import PrivateStore
from jobserver.service.notify.issues.change import STATUS_LABELS, IssueChange
from jobserver.service.notify.outbox import CLAIM_SECONDS, Message
from jobserver.service.studies.base import GITHUB_API
from jobserver.service.studies.deadline import DeadlineRunner

if TYPE_CHECKING:
    from github import Github
    from github.Issue import Issue
    from github.Repository import Repository

_SECONDS = CLAIM_SECONDS - 5.0
_SEARCHED = 300  # issues, the newest first
_GONE = (404, 410)
_WRONG = 422  # GitHub can't take this text
_LOCKED = 403


class Issues:
    """Thread-safe. ``token`` may write issues. The private store remembers the number of each release's issue."""

    def __init__(self, token: str, private: PrivateStore, url: str = GITHUB_API, time_out: float = _SECONDS) -> None:
        self._token, self._private, self._url, self._seconds = token, private, url, time_out
        self._within = DeadlineRunner()

    def send(self, message: Message) -> None:
        """Raises `Error`: unavailable if it may work later, invalid if GitHub refuses the text."""
        change = IssueChange.of(message)
        try:
            self._within(monotonic() + self._seconds, lambda: self._apply(change))
        except Error:
            raise
        except TimeoutError:
            raise unavailable(f"GitHub did not answer within {self._seconds:g} s") from None
        except Exception as error:
            raise _refusal(error, change.repository) from error

    def _apply(self, change: IssueChange) -> None:
        with self._client() as client:
            repository = client.get_repo(change.repository)
            issue, is_locked = self._issue(repository, change), False
            if change.comment:
                mark = _mark(f"event {change.event}")
                if not any(mark in (comment.body or "") for comment in issue.get_comments()):
                    is_locked = not _is_taken(issue, f"{change.comment}\n\n{mark}")
            names = [label.name for label in issue.labels]
            labels = [name for name in names if name not in STATUS_LABELS]
            labels += [change.label] if change.label else []
            state = "closed" if change.is_closed else "open"
            if sorted(names) != sorted(labels) or issue.state != state:
                issue.edit(state=state, labels=labels)
            if is_locked:  # later would not help, and the next messages wait for this one
                raise invalid(f"issue {issue.number} of {change.repository} is locked, and takes no comments")

    def _issue(self, repository: "Repository", change: IssueChange) -> "Issue":
        """The issue of the release, which is made if it is missing."""
        key, mark = f"issue/{change.repository}/{change.release}", _mark(f"release {change.release}")
        if number := self._private.known_first(key):
            if (known := _known(repository, number)) is not None:
                return known
            self._private.forget_first(key, number)
        newest = repository.get_issues(state="all", sort="created", direction="desc")
        for issue in islice(newest, _SEARCHED):
            if mark in (issue.body or ""):
                break
        else:
            labels = [change.label] if change.label else []
            issue = repository.create_issue(change.title, f"{change.body}\n\n{mark}", labels=labels)
        self._private.first(key, issue.number)
        return issue

    def _client(self) -> "Github":
        import github  # takes long to import, and few commands send anything

        return github.Github(
            auth=github.Auth.Token(self._token) if self._token else None,
            base_url=self._url,
            timeout=max(1, int(self._seconds)),
            per_page=100,
            retry=None,
            seconds_between_requests=None,
            seconds_between_writes=None,
            lazy=True,
        )


def _known(repository: "Repository", number: int) -> "Issue | None":
    """The issue with this number; None if somebody has deleted it."""
    from github import GithubException

    try:
        issue = repository.get_issue(number)
        issue.complete()  # a lazy one has no labels yet
    except GithubException as error:
        if error.status in _GONE:
            return None
        raise
    return issue


def _is_taken(issue: "Issue", comment: str) -> bool:
    """Makes the comment; False if the conversation is locked."""
    from github import GithubException

    try:
        issue.create_comment(comment)
    except GithubException as error:
        if error.status == _LOCKED and issue.locked:
            return False
        raise
    return True


def _mark(text: str) -> str:
    """A comment of Markdown that names the thing by its hash: whatever a name contains, it can't end the comment."""
    return f"<!-- jobserver {sha256(text.encode()).hexdigest()[:32]} -->"


def _refusal(error: Exception, repository: str) -> Error:
    """What GitHub answered, in our words. What an operator can correct may work later."""
    from github import GithubException, RateLimitExceededException

    if not isinstance(error, GithubException):
        return unavailable(f"GitHub can't be reached, or sent an answer that can't be read: {type(error).__name__}")
    if error.status == _WRONG:
        return invalid(f"GitHub refused the text of an issue in {repository}")
    if isinstance(error, RateLimitExceededException) or error.status == 429:
        return unavailable("GitHub's rate limit is used up")
    if error.status in (401, 403):
        return unavailable(f"GitHub does not let the token of OUTPUT_CHECKING_TOKEN write issues of {repository}")
    if error.status in _GONE:
        return unavailable(f"GitHub has no issues in {repository} that the token of OUTPUT_CHECKING_TOKEN can see")
    return unavailable(f"GitHub answered with an error, {error.status}")
