"""The transport by HTTP: one call lists job requests, another reports jobs (docs/contract.md)."""

import json
import logging
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

import httpx

from jobserver.errors import Code, Error, invalid, unavailable
from jobserver.runner.transport.base import flags
from jobserver.store.proxies import proxy_of

MAX_WAIT = 50.0
_TIMEOUT = 20.0  # seconds for an answer, on top of the requested wait
_NOTES = ("clock", "skipped", "altered", "repaired")  # how an accepted report differs from what was sent
_log = logging.getLogger(__name__)
_TRANSIENT = frozenset({408, 425, 429})


class HttpTransport:
    """See `jobserver.runner.transport.base.Transport`. Keeps the list's ETag in memory."""

    def __init__(
        self, url: str, token: str, now: Callable[[], datetime], transport: httpx.BaseTransport | None = None
    ) -> None:
        self._now = now
        self.refused: Mapping[str, str] = {}
        self._etag = ""
        self._proxy = proxy_of(url)
        try:
            token.encode("ascii")
            self._client = httpx.Client(
                base_url=url.rstrip("/"),
                headers={"Authorization": token},
                timeout=httpx.Timeout(_TIMEOUT, connect=10.0),
                transport=transport,
            )
        except (httpx.InvalidURL, UnicodeEncodeError) as error:
            raise invalid("expected a URL such as https://jobs.example.org, and a token of ASCII characters") from error

    def fetch(self, wait: float) -> list[Any] | None:
        headers = {}
        if self._etag:
            headers["If-None-Match"] = self._etag
            if wait > 0:
                headers["Prefer"] = f"wait={int(min(wait, MAX_WAIT))}"
        timeout = httpx.Timeout(_TIMEOUT + wait, connect=10.0)
        answer = self._call("GET", "/api/v2/job-requests/", headers=headers, timeout=timeout)
        if answer.status_code == 304:
            return None
        body = _body(answer)
        if not isinstance(body, dict) or not isinstance(body.get("results"), list):
            raise unavailable("the server's list of job requests is not as expected")
        self._etag = answer.headers.get("ETag", "")
        results: list[Any] = body["results"]
        return results

    def report(self, jobs: Sequence[dict[str, Any]]) -> Sequence[str]:
        answer = self._call("POST", "/api/v2/jobs/", json=list(jobs))
        body = _body(answer)
        body = body if isinstance(body, dict) else {}
        for key in _NOTES:
            if note := body.get(key):
                _log.warning("the server says: %s: %.500s", key, note)
        ignored = body.get("ignored", [])
        return [identifier for identifier in ignored if isinstance(identifier, str)]

    def close(self) -> None:
        self._client.close()

    def _call(self, method: str, path: str, **options: Any) -> httpx.Response:
        headers = {"Flags": flags(self._now()), **options.pop("headers", {})}
        try:
            answer = self._client.request(method, path, headers=headers, **options)
        except (httpx.UnsupportedProtocol, httpx.InvalidURL) as error:
            raise invalid(f"{error}; expected a URL such as https://jobs.example.org", "the server's URL") from error
        except httpx.ProxyError as error:
            raise unavailable(f"the proxy refused: {error}", self._proxy) from error
        except httpx.HTTPError as error:
            raise unavailable(f"no answer: {error or type(error).__name__}", str(self._client.base_url)) from error
        if answer.status_code in (200, 201) or (method == "GET" and answer.status_code == 304):
            return answer
        is_json = answer.headers.get("Content-Type", "").startswith("application/json")
        if answer.status_code == 407 or (self._proxy and not is_json):  # the server itself answers with JSON
            raise unavailable(f"the proxy answered {answer.status_code}: {_reason(answer)}", self._proxy)
        raise _refusal(answer)


def _body(answer: httpx.Response) -> Any:
    try:
        return answer.json()
    except ValueError as error:
        raise unavailable("the server's answer is not JSON", str(answer.url)) from error


def _refusal(answer: httpx.Response) -> Error:
    status = answer.status_code
    message = f"{status}: {_reason(answer)}"
    where = f"{answer.request.method} {answer.url}"
    if status >= 500 or status in _TRANSIENT:
        return unavailable(message, where)
    codes = {401: Code.UNAUTHENTICATED, 403: Code.FORBIDDEN, 404: Code.NOT_FOUND, 409: Code.CONFLICT}
    return Error(codes.get(status, Code.INVALID), message, where)


def _reason(answer: httpx.Response) -> str:
    """The server's message, on one line and cut."""
    try:
        body = answer.json()
    except ValueError:
        body = answer.text
    if isinstance(body, dict) and isinstance(body.get("detail"), str):
        body = body["detail"]
    text = body if isinstance(body, str) else json.dumps(body, ensure_ascii=False)
    return " ".join(text.split())[:1000] or answer.reason_phrase
