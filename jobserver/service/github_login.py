"""Who somebody is, by GitHub's OAuth, and whether they are in the organisation: asked at log-in, never per page."""

from time import monotonic

from jobserver.errors import Error, forbidden, unavailable
from jobserver.service.studies.within import Within

API = "https://api.github.com"
_SECONDS = 10.0


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

    def person(self, code: str, state: str) -> tuple[str, str, str]:
        """(user name, name, email). Raises `Error`: forbidden for who is not let in, unavailable without GitHub."""
        try:
            return self._within(monotonic() + _SECONDS, lambda: self._ask(code, state))
        except TimeoutError:
            raise unavailable("GitHub did not answer: try again, or ask for a log-in link") from None
        except Error:
            raise
        except Exception as error:
            raise unavailable(f"GitHub refused the log-in: {type(error).__name__}: try again") from error

    def _ask(self, code: str, state: str) -> tuple[str, str, str]:
        from github import Auth, Github

        app = Github(base_url=self._url).get_oauth_application(self._key, self._secret)
        token = app.get_access_token(code, state)
        hub = Github(auth=Auth.Token(token.token), base_url=self._url, retry=None)
        user = hub.get_user()
        asking = Github(auth=Auth.Token(self._org_token or token.token), base_url=self._url, retry=None)
        if self._org and not asking.get_organization(self._org).has_in_members(asking.get_user(user.login)):
            raise forbidden(f"{user.login} is not in the GitHub organisation {self._org}")
        return user.login, user.name or "", user.email or ""
