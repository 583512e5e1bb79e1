"""POST /hooks/state/: the host of STATE_REMOTE tells the server to fetch. Only a hint, but it has to be signed.

Formats: GitHub's and Gitea's ``X-Hub-Signature-256: sha256=<HMAC of the body>``, and GitLab's ``X-Gitlab-Token``, which
is the secret itself.
"""

import hashlib
import hmac

from bottle import HTTPResponse

from jobserver.domain.base.permissions import Actor
from jobserver.errors import forbidden, not_found
from jobserver.web import http
from jobserver.web.services import Services


class HostWebhook:
    """404 without STATE_REMOTE_WEBHOOK_SECRET."""

    def __init__(self, services: Services) -> None:
        self._secret, self._hosted = services.options.webhook_secret.encode(), services.hosted

    def pushed(self, _: Actor | None) -> HTTPResponse:
        if not self._secret:
            raise not_found("STATE_REMOTE_WEBHOOK_SECRET is not set")
        body = http.read_body()
        expected = "sha256=" + hmac.new(self._secret, body, hashlib.sha256).hexdigest()
        signature, token = http.header("X-Hub-Signature-256"), http.header("X-Gitlab-Token")
        given = signature or ""
        is_genuine = hmac.compare_digest(given.encode("latin-1", "replace"), expected.encode())
        if token is not None and signature is None:
            is_genuine = hmac.compare_digest(token.encode("latin-1", "replace"), self._secret)
        if not is_genuine:
            raise forbidden("The call is not signed with STATE_REMOTE_WEBHOOK_SECRET")
        if self._hosted is not None:
            self._hosted.follower.hint()
        return HTTPResponse(b"", 204)
