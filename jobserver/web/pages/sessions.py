"""Sessions: a signed cookie that says who logged in and when; nothing of it is kept here but which were ended.

Signed with SECRET_KEY by itsdangerous. The same for the tokens against forged forms, and for one-time log-in links.
"""

import hmac
import secrets
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from bottle import HTTPResponse, request
from itsdangerous import BadData, URLSafeTimedSerializer

from jobserver.service.accounts.private_store import PrivateStore

HOURS = 12
LINK_SECONDS = 15 * 60
_COOKIE = "jobserver-session"


@dataclass(frozen=True, slots=True)
class Session:
    """``since``: the person's `epoch` when it began. ``github_id``: as whose account on GitHub they logged in, if so;
    0 is nobody's, of sessions from before it was kept."""

    username: str
    identifier: str
    github_id: int | None = None
    since: str = ""


class Sessions:
    """``is_https``: cookies are sent over https only. ``counts``: whether a session's person may go on with
    it, and whether that may take a while."""

    def __init__(
        self,
        secret: str,
        private: PrivateStore,
        clock: Callable[[], datetime],
        is_https: bool,
        counts: Callable[[Session, bool], bool] = lambda session, waits: True,
    ) -> None:
        self._private, self._clock, self._is_https, self._counts = private, clock, is_https, counts
        self._sessions = URLSafeTimedSerializer(secret, salt="jobserver session")
        self._states = URLSafeTimedSerializer(secret, salt="jobserver state")
        self._links = URLSafeTimedSerializer(secret, salt="jobserver login link")
        self._forms = URLSafeTimedSerializer(secret, salt="jobserver form")

    # Sessions

    def current(self) -> Session | None:
        found = self._read(self._sessions, self._cookie(_COOKIE), HOURS * 3600)
        if not isinstance(found, dict) or self._private.is_used(f"session/{found.get('i')}"):
            return None
        by = found.get("g")
        github_id = by if type(by) is int else 0 if by else None
        session = Session(str(found["u"]), str(found["i"]), github_id, str(found.get("e", "")))
        return session if self._counts(session, True) else None

    def still(self, sessions: Iterable[Session]) -> set[Session]:
        """Those of these that go on, at once. Raises `Error` (unavailable)."""
        ended = self._private.used_marks("session")
        return {one for one in sessions if one.identifier not in ended and self._counts(one, False)}

    def begin(self, reply: HTTPResponse, username: str, since: str, github_id: int | None = None) -> None:
        """A new identifier each time, so that nobody can have set it beforehand. ``since``: the person's `epoch`."""
        value = self._sessions.dumps({"u": username, "i": secrets.token_hex(16), "g": github_id, "e": since})
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

    def link(self, username: str, since: str) -> str:
        """``since``: the person's `epoch`; the link ends with it, as their sessions do."""
        return str(self._links.dumps({"u": username, "n": secrets.token_hex(16), "e": since}))

    def link_owner(self, token: str) -> Session | None:
        """Whom it logs in, as the session that it begins; None once it is used, too old, or counts no more."""
        found = self._read(self._links, token, LINK_SECONDS)
        if not isinstance(found, dict) or self._private.is_used(f"link/{found.get('n')}"):
            return None
        owner = Session(str(found["u"]), str(found["n"]), since=str(found.get("e", "")))
        return owner if self._counts(owner, True) else None

    def use_link(self, token: str) -> Session | None:
        """Whom it logs in; uses it up."""
        owner = self.link_owner(token)
        now = int(self._clock().timestamp())
        if owner is None or not self._private.use_up(f"link/{owner.identifier}", now + 2 * LINK_SECONDS, now):
            return None
        return owner

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
