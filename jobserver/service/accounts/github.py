"""Who somebody is, by GitHub's OAuth, and whether they are there and in the organisation still.

People are told apart by GitHub's number: names are given up, taken by others, and written in any case. Of REST's
answers only those that say something count: what is neither a yes nor a no leaves standing what was known.
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
_SCOPE = "read:org"  # of the person's own token: whether they are a member, also where that is private
_YES, _NO, _NO_MEMBER_ASKS = 204, 404, 302
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Person:
    """As GitHub has them. ``name`` and ``email`` may be empty."""

    github_id: int
    login: str
    name: str
    email: str


class GitHubLogin:
    """``org`` empty: everybody on GitHub may log in, and has no rights until somebody gives them roles.

    ``org_token`` (GITHUB_TOKEN) sees private members too. Without it the person's own token has to at login, and
    afterwards only public membership can be seen, and whether the account is there still.
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
        """``is_ours``: whether the organisation of that number is meant. Another could be called ``org`` by now."""
        self._key, self._secret, self._org, self._url, self._is_ours = key, secret, org, url, is_ours
        self._org_token = org_token
        self._within = DeadlineRunner()

    def login_url(self, state: str, back: str) -> str:
        from github import Github

        app = Github(base_url=self._url).get_oauth_application(self._key, self._secret)
        url = str(app.get_login_url(redirect_uri=back, state=state))
        return f"{url}&scope={quote(_SCOPE)}" if self._org and not self._org_token else url

    def person(self, code: str) -> Person:
        """Raises `Error`: forbidden for who is not let in, unavailable without GitHub."""
        return self._timely(lambda: self._ask(code))

    def is_member(self, github_id: int) -> bool:
        """Whether the account is there, and in the organisation. Raises `Error` (unavailable): GitHub does not say."""
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
            login = hub.get_user_by_id(github_id).login  # as they are called now
        except UnknownObjectException:
            return False
        return not self._org or self._is_in_org(hub, login)

    def _is_in_org(self, hub: "Github", login: str) -> bool:
        """Raises `Error` (unavailable) where that is not for this token to see."""
        org = hub.get_organization(self._org)  # or else a 404 could mean that there is no such organisation
        if org.id is not None and not self._is_ours(org.id):
            raise unavailable(
                f"{self._org} is another organisation on GitHub than it was, number {org.id}:"
                " an administrator has to look, and set GITHUB_ORG, or GITHUB_ORG_ID if it is the right one"
            )
        status = self._status(hub, f"/orgs/{org.login}/members/{login}")
        if status in (_YES, _NO):
            return status == _YES
        if status == _NO_MEMBER_ASKS and self._status(hub, f"/orgs/{org.login}/public_members/{login}") == _YES:
            return True
        whose = "GITHUB_TOKEN" if self._org_token else "this login"
        raise unavailable(
            f"GitHub does not tell {whose} whether {login} is in the organisation {self._org}: that needs the scope"
            f" {_SCOPE} of a member, and that the organisation lets this application see it"
        )

    @staticmethod
    def _status(hub: "Github", path: str) -> int:
        return int(hub.requester.requestJson("GET", path)[0])

    def _hub(self, auth: object) -> "Github":
        from github import Github

        # Without PyGithub's pause of a quarter of a second between two calls: somebody waits for each of them.
        return Github(auth=auth, base_url=self._url, retry=None, seconds_between_requests=None)  # type: ignore[arg-type]
