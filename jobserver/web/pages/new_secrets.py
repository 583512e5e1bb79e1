"""A new token: shown once, on the page after the form that created it, so that loading the page again creates none.

Until then it is in a signed cookie of the person's own browser. The server stores only its digest.
"""

from hmac import compare_digest

import orjson
from bottle import HTTPResponse, request

from jobserver.web.pages.redirects import redirect
from jobserver.web.pages.sessions import Session, Sessions

_NOTE = "new-secret"
_SECONDS = 60


class NewSecrets:
    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions

    def lead_to(self, path: str, session: Session | None, secret: str, label: str = "") -> HTTPResponse:
        """To the page that shows the secret of ``label``."""
        reply = redirect(path)
        note = [path, session.identifier if session else "", secret, label]
        self._sessions.remember(reply, _NOTE, orjson.dumps(note).decode(), _SECONDS)
        return reply

    def take(self, session: Session | None) -> tuple[str, str]:
        """(secret, label) for this page and session; empty if there is none."""
        note = self._sessions.recall(_NOTE, _SECONDS)
        path, identifier, secret, label = orjson.loads(note) if note else ("", "", "", "")
        is_own = session is not None and compare_digest(identifier.encode(), session.identifier.encode())
        return (secret, label) if is_own and path == request.path else ("", "")

    def forget(self, reply: HTTPResponse) -> HTTPResponse:
        """The page has shown it."""
        self._sessions.forget(reply, _NOTE)
        return reply
