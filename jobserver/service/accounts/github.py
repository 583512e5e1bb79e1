"""Identifies people by GitHub's OAuth, and checks whether their account still exists and is in the organisation.

Uses GitHub's number of each person, because names are given up and taken by others. Only a clear yes or no from GitHub
counts; after any other answer, the last known one stays valid.
"""

from collections.abc import Callable
from dataclasses import dataclass
from time import monotonic
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import quote

from jobserver.errors import Error, forbidden, unavailable
from jobserver.service.studies.base import GITHUB_API
from jobserver.service.studies.deadline import DeadlineRunner

if TYPE_CHECKING:
    from github import Github

_SECONDS = 5.0
_SCOPE = "read:org"  # lets a person's own token see their private membership
_YES, _NO, _NO_MEMBER_ASKS = 204, 404, 302
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Person:
    """A person on GitHub. ``name`` and ``email`` may be empty."""

    github_id: int
    login: str
    name: str
    email: str


class GitHubLogin:
    """Without ``org``, everybody on GitHub can log in, but has no rights until somebody gives them roles.

    ``org_token`` (GITHUB_TOKEN) also sees private members. Without it, the login uses the person's own token. Later
    checks then see only public members, and whether the account still exists.
    """

    def __init__(
        self,
        key: str,
        secret: str,
        org: str,
        org_token: str,
        url: str = GITHUB_API,
        is_ours: Callable[[int], bool] = lambda number: True,
    ) -> None:
        """``is_ours``: whether GITHUB_ORG means the organisation with this number: another can take its name."""
        self._key, self._secret, self._org, self._url, self._is_ours = key, secret, org, url, is_ours
        self._org_token = org_token
        self._within = DeadlineRunner()

    def login_url(self, state: str, back: str) -> str:
        from github import Github

        app = Github(base_url=self._url).get_oauth_application(self._key, self._secret)
        url = str(app.get_login_url(redirect_uri=back, state=state))
        return f"{url}&scope={quote(_SCOPE)}" if self._org and not self._org_token else url

    def person(self, code: str) -> Person:
        """Raises `Error`: forbidden if the person may not log in, unavailable if GitHub does not answer."""
        return self._timely(lambda: self._ask(code))

    def is_member(self, github_id: int) -> bool:
        """Whether the account exists and is in the organisation. Raises `Error` (unavailable) if GitHub does not
        answer.
        """
        return self._timely(lambda: self._is_there(github_id))

    def _timely(self, work: Callable[[], T]) -> T:
        try:
            return self._within(monotonic() + _SECONDS, work)
        except TimeoutError:
            raise unavailable("GitHub did not answer: try again, or ask for a login link") from None
        except Error:
            raise
        except Exception as error:
            raise unavailable(f"GitHub refused: {type(error).__name__}: try again") from error

    def _ask(self, code: str) -> Person:
        from github import Auth, Github

        app = Github(base_url=self._url).get_oauth_application(self._key, self._secret)
        token = app.get_access_token(code).token
        user = self._hub(Auth.Token(token)).get_user()
        person = Person(user.id, user.login, user.name or "", user.email or "")
        if self._org and not self._is_in_org(self._hub(Auth.Token(self._org_token or token)), person.login):
            raise forbidden(f"{person.login} is not in the GitHub organisation {self._org}")
        return person

    def _is_there(self, github_id: int) -> bool:
        from github import Auth, UnknownObjectException

        hub = self._hub(Auth.Token(self._org_token) if self._org_token else Auth.Login(self._key, self._secret))
        try:
            login = hub.get_user_by_id(github_id).login  # their present name
        except UnknownObjectException:
            return False
        return not self._org or self._is_in_org(hub, login)

    def _is_in_org(self, hub: "Github", login: str) -> bool:
        """Raises `Error` (unavailable) if the token cannot see the membership."""
        org = hub.get_organization(self._org)  # otherwise a 404 below could mean that the organisation is missing
        if org.id is not None and not self._is_ours(org.id):
            raise unavailable(
                f"GitHub has another organisation with the name {self._org} now, with the id {org.id}:"
                " an administrator needs to correct GITHUB_ORG, or set GITHUB_ORG_ID if it is the right one"
            )
        status = self._status(hub, f"/orgs/{org.login}/members/{login}")
        if status in (_YES, _NO):
            return status == _YES
        if status == _NO_MEMBER_ASKS and self._status(hub, f"/orgs/{org.login}/public_members/{login}") == _YES:
            return True
        whose = "GITHUB_TOKEN" if self._org_token else "this login"
        raise unavailable(
            f"GitHub does not show {whose} whether {login} is in the organisation {self._org}: the token needs the"
            f" scope {_SCOPE}, must be a member's, and the organisation must have approved this application"
        )

    @staticmethod
    def _status(hub: "Github", path: str) -> int:
        return int(hub.requester.requestJson("GET", path)[0])

    def _hub(self, auth: object) -> "Github":
        from github import Github

        # Without PyGithub's pause of a quarter of a second between two calls, because a person waits.
        return Github(auth=auth, base_url=self._url, retry=None, seconds_between_requests=None)  # type: ignore[arg-type]
