"""Who somebody is, by GitHub's OAuth, and whether they are in the organisation: asked at log-in, never per page."""

from collections.abc import Callable
from time import monotonic
from typing import TypeVar

from jobserver.errors import Error, forbidden, unavailable
from jobserver.service.studies.within import Within

API = "https://api.github.com"
_SECONDS = 10.0
T = TypeVar("T")


class GitHubLogin:
    """``org`` empty: everybody on GitHub may log in, and has no rights until somebody gives them roles."""

    def __init__(self, key: str, secret: str, org: str, org_token: str, url: str = API) -> None:
        self._key, self._secret, self._org, self._url = key, secret, org, url
        self._org_token = org_token  # sees private members too; without it, public ones count
        self._within = Within()

    def login_url(self, state: str, back: str) -> str:
        from github import Github

        app = Github(base_url=self._url).get_oauth_application(self._key, self._secret)
        return str(app.get_login_url(redirect_uri=back, state=state))

    @property
    def can_ask_again(self) -> bool:
        """Without GITHUB_TOKEN nobody's private membership can be seen after they logged in."""
        return bool(self._org and self._org_token)

    def is_member(self, username: str) -> bool:
        """Raises `Error` (unavailable) where GitHub does not say."""
        return self._timely(lambda: self._is_member(username, self._org_token))

    def person(self, code: str) -> tuple[str, str, str]:
        """(user name, name, email). Raises `Error`: forbidden for who is not let in, unavailable without GitHub."""
        return self._timely(lambda: self._ask(code))

    def _timely(self, work: Callable[[], T]) -> T:
        try:
            return self._within(monotonic() + _SECONDS, work)
        except TimeoutError:
            raise unavailable("GitHub did not answer: try again, or ask for a log-in link") from None
        except Error:
            raise
        except Exception as error:
            raise unavailable(f"GitHub refused: {type(error).__name__}: try again") from error

    def _ask(self, code: str) -> tuple[str, str, str]:
        from github import Auth, Github

        app = Github(base_url=self._url).get_oauth_application(self._key, self._secret)
        token = app.get_access_token(code)
        hub = Github(auth=Auth.Token(token.token), base_url=self._url, retry=None)
        user = hub.get_user()
        if self._org and not self._is_member(user.login, self._org_token or token.token):
            raise forbidden(f"{user.login} is not in the GitHub organisation {self._org}")
        return user.login, user.name or "", user.email or ""

    def _is_member(self, username: str, token: str) -> bool:
        from github import Auth, Github

        hub = Github(auth=Auth.Token(token), base_url=self._url, retry=None)
        return hub.get_organization(self._org).has_in_members(hub.get_user(username))
