"""Sessions: a signed cookie that says who logged in and when; nothing of it is kept here but which were ended.

Signed with SECRET_KEY by itsdangerous. The same for the tokens against forged forms, and for one-time log-in links.
"""

import hmac
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from bottle import HTTPResponse, request
from itsdangerous import BadData, URLSafeTimedSerializer

from jobserver.service.private import PrivateStore

HOURS = 12
LINK_SECONDS = 15 * 60
_COOKIE = "jobserver-session"


@dataclass(frozen=True, slots=True)
class Session:
    username: str
    identifier: str
    by_github: bool = False


class Sessions:
    """``is_https``: cookies are sent over https only. ``has_left``: of who logged in with GitHub, its organisation."""

    def __init__(
        self,
        secret: str,
        private: PrivateStore,
        clock: Callable[[], datetime],
        is_https: bool,
        has_left: Callable[[str], bool] = lambda username: False,
    ) -> None:
        self._private, self._clock, self._is_https, self._has_left = private, clock, is_https, has_left
        self._sessions = URLSafeTimedSerializer(secret, salt="jobserver session")
        self._states = URLSafeTimedSerializer(secret, salt="jobserver state")
        self._links = URLSafeTimedSerializer(secret, salt="jobserver login link")
        self._forms = URLSafeTimedSerializer(secret, salt="jobserver form")

    # Sessions

    def current(self) -> Session | None:
        found = self._read(self._sessions, self._cookie(_COOKIE), HOURS * 3600)
        if not isinstance(found, dict) or self._private.is_used(f"session/{found.get('i')}"):
            return None
        if found.get("g") and self._has_left(str(found["u"])):
            return None
        return Session(str(found["u"]), str(found["i"]), bool(found.get("g")))

    def begin(self, reply: HTTPResponse, username: str, by_github: bool = False) -> None:
        """A new identifier each time, so that nobody can have set it beforehand."""
        value = self._sessions.dumps({"u": username, "i": secrets.token_hex(16), "g": by_github})
        self._set(reply, _COOKIE, value, HOURS * 3600)

    def end(self, reply: HTTPResponse, session: Session | None) -> None:
        if session is not None:
            now = self._clock()
            until = int((now + timedelta(hours=HOURS)).timestamp())
            self._private.use_up(f"session/{session.identifier}", until, int(now.timestamp()))
        self._set(reply, _COOKIE, "", 0)

    # Forms

    def form_token(self, session: Session | None) -> str:
        """For a hidden field; of use to this session only. Without a session, a cookie stands for one."""
        return str(self._forms.dumps(self._form_owner(session)))

    def is_genuine(self, session: Session | None, token: str) -> bool:
        found = self._read(self._forms, token, HOURS * 3600)
        return isinstance(found, str) and hmac.compare_digest(found, self._form_owner(session))

    @staticmethod
    def _form_owner(session: Session | None) -> str:
        return session.identifier if session else "nobody"

    # The way to GitHub and back

    def remember(self, reply: HTTPResponse, key: str, value: str) -> None:
        """A signed note in the browser, for ten minutes."""
        self._set(reply, f"jobserver-{key}", self._states.dumps(value), 600)

    def recall(self, key: str) -> str:
        found = self._read(self._states, self._cookie(f"jobserver-{key}"), 600)
        return found if isinstance(found, str) else ""

    # One-time links

    def link(self, username: str) -> str:
        return str(self._links.dumps({"u": username, "n": secrets.token_hex(16)}))

    def link_owner(self, token: str) -> tuple[str, str] | None:
        """(who it logs in, its mark); None once it is used, too old, or not ours."""
        found = self._read(self._links, token, LINK_SECONDS)
        if not isinstance(found, dict) or self._private.is_used(f"link/{found.get('n')}"):
            return None
        return str(found["u"]), f"link/{found['n']}"

    def use_link(self, token: str) -> str | None:
        """Who it logs in; uses it up."""
        owner = self.link_owner(token)
        now = int(self._clock().timestamp())
        if owner is None or not self._private.use_up(owner[1], now + 2 * LINK_SECONDS, now):
            return None
        return owner[0]

    @staticmethod
    def _read(serializer: URLSafeTimedSerializer, text: str, seconds: int) -> Any:
        try:
            return serializer.loads(text, max_age=seconds)
        except BadData:
            return None

    @staticmethod
    def _cookie(name: str) -> str:
        return str(request.get_cookie(name) or "")

    def _set(self, reply: HTTPResponse, name: str, value: str, seconds: int) -> None:
        options = {
            "path": request.script_name,
            "httponly": True,
            "samesite": "lax",
            "max_age": seconds,
            "secure": self._is_https,
        }
        reply.set_cookie(name, value, **options)
