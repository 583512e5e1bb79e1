"""Sessions, the tokens that protect forms, and one-time login links.

Each is a signed text (itsdangerous, SECRET_KEY) that the browser keeps. The server stores only the ids of sessions that
have ended and of links that have been used.
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
FORM_DAYS = 7  # a page can be open for longer than its session
LINK_SECONDS = 15 * 60
_ANY_TIME = 100 * 365 * 86_400
_COOKIE = "jobserver-session"
_NOTE_SECONDS = 600


@dataclass(frozen=True, slots=True)
class Session:
    """``since``: the person's `epoch` when the session began. ``github_id``: the GitHub account, if they logged in with
    one; 0 for sessions from before the server stored that id. ``oidc_id``: who they are at the OpenID Connect provider,
    if they logged in there."""

    username: str
    identifier: str
    github_id: int | None = None
    since: str = ""
    oidc_id: str = ""


class Sessions:
    """``is_https``: browsers send the cookies over https only.

    ``is_valid``: whether a session's person can still use it. Its second argument allows it to ask GitHub, which takes
    time."""

    def __init__(
        self,
        secret: str,
        private: PrivateStore,
        clock: Callable[[], datetime],
        is_https: bool,
        is_valid: Callable[[Session, bool], bool] = lambda session, waits: True,
    ) -> None:
        self._private, self._clock, self._is_https, self._is_valid = private, clock, is_https, is_valid
        self._sessions = URLSafeTimedSerializer(secret, salt="jobserver session")
        self._states = URLSafeTimedSerializer(secret, salt="jobserver state")
        self._links = URLSafeTimedSerializer(secret, salt="jobserver login link")
        self._forms = URLSafeTimedSerializer(secret, salt="jobserver form")

    # Sessions

    def current(self) -> Session | None:
        values = self._read(self._sessions, self._cookie(_COOKIE), HOURS * 3600)
        if not isinstance(values, dict) or self._private.is_used(f"session/{values.get('i')}"):
            return None
        account = values.get("g")
        github_id = account if type(account) is int else 0 if account else None
        session = Session(
            str(values["u"]), str(values["i"]), github_id, str(values.get("e", "")), str(values.get("o", ""))
        )
        return session if self._is_valid(session, True) else None

    def still(self, sessions: Iterable[Session]) -> set[Session]:
        """Those that are still valid, without asking GitHub. Raises `Error` (unavailable)."""
        ended = self._private.used_marks("session")
        return {session for session in sessions if session.identifier not in ended and self._is_valid(session, False)}

    def begin(
        self, reply: HTTPResponse, username: str, since: str, github_id: int | None = None, oidc_id: str = ""
    ) -> None:
        """With a new id, which nobody can know beforehand. ``since``: the person's `epoch`."""
        values = {"u": username, "i": secrets.token_hex(16), "g": github_id, "e": since}
        if oidc_id:
            values["o"] = oidc_id
        self._set(reply, _COOKIE, self._sessions.dumps(values), HOURS * 3600)

    def end(self, reply: HTTPResponse, session: Session | None) -> None:
        if session is not None:
            now = self._clock()
            until = int((now + timedelta(hours=HOURS)).timestamp())
            self._private.use_up(f"session/{session.identifier}", until, int(now.timestamp()))
        self._set(reply, _COOKIE, "", 0)

    # Forms

    def form_token(self, session: Session | None) -> str:
        """For a hidden field; only this session can use it."""
        return str(self._forms.dumps(self._form_owner(session)))

    def is_genuine(self, session: Session | None, token: str) -> bool:
        owner = self._read(self._forms, token, HOURS * 3600)
        return isinstance(owner, str) and hmac.compare_digest(owner.encode(), self._form_owner(session).encode())

    def form_person(self, token: str) -> str:
        """The username of the person for whom this server made the form, also when their session has ended; else
        empty. Such a form may be shown to them again, and nothing else."""
        owner = self._read(self._forms, token, FORM_DAYS * 86_400)
        return owner.partition(" ")[2] if isinstance(owner, str) else ""

    @staticmethod
    def _form_owner(session: Session | None) -> str:
        return f"{session.identifier} {session.username}" if session else "nobody"

    # Signed notes, for the way to GitHub or another provider and back

    def remember(self, reply: HTTPResponse, key: str, value: str, seconds: int = _NOTE_SECONDS) -> None:
        """Stores a value in a signed cookie."""
        self._set(reply, f"jobserver-{key}", self._states.dumps(value), seconds)

    def recall(self, key: str, seconds: int = _NOTE_SECONDS) -> str:
        value = self._read(self._states, self._cookie(f"jobserver-{key}"), seconds)
        return value if isinstance(value, str) else ""

    def forget(self, reply: HTTPResponse, key: str) -> None:
        self._set(reply, f"jobserver-{key}", "", 0)

    # One-time links

    def link(self, username: str, since: str) -> str:
        """``since``: the person's `epoch`; when that changes, the link stops working, as their sessions do."""
        return str(self._links.dumps({"u": username, "n": secrets.token_hex(16), "e": since}))

    def link_owner(self, token: str) -> Session | None:
        """The session that the link starts; None if the link has been used, has expired or is no longer valid."""
        values = self._read(self._links, token, LINK_SECONDS)
        if not isinstance(values, dict) or self._private.is_used(f"link/{values.get('n')}"):
            return None
        owner = Session(str(values["u"]), str(values["n"]), since=str(values.get("e", "")))
        return owner if self._is_valid(owner, True) else None

    def link_fault(self, token: str) -> str:
        """Why `link_owner` is None: ``used``, ``expired``, ``ended`` (the account changed); empty for another text."""
        values = self._read(self._links, token, _ANY_TIME)
        if not isinstance(values, dict):
            return ""
        if self._private.is_used(f"link/{values.get('n')}"):
            return "used"
        return "ended" if self._read(self._links, token, LINK_SECONDS) else "expired"

    def use_link(self, token: str) -> Session | None:
        """As `link_owner`; the link cannot be used again."""
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
