"""Calls a server's API with a personal token, from the settings JOBSERVER_URL and JOBSERVER_TOKEN."""

import os
import secrets
import time
from collections.abc import Iterator, Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlsplit

if TYPE_CHECKING:
    import httpx

from jobserver.errors import Code, Error, Fault, forbidden, invalid, unavailable
from jobserver.store import proxies

URL, TOKEN = "JOBSERVER_URL", "JOBSERVER_TOKEN"
_ATTEMPTS, _PAUSE_SECONDS = 3, 2.0
_SECONDS = 20.0  # for an answer, on top of the requested wait
_CODES = {400: Code.INVALID, 403: Code.FORBIDDEN, 404: Code.NOT_FOUND, 409: Code.CONFLICT, 429: Code.TOO_MANY}


def is_set() -> bool:
    """Whether commands that work in both ways call a server, and do not read STATE_REPO."""
    return bool(os.environ.get(URL))


class ServerClient:
    """A context manager. Each call raises `Error`: with the server's words if it refuses, unavailable without an
    answer."""

    def __init__(self, url: str, token: str) -> None:
        import httpx  # here, because commands that do not call a server would wait for it too

        try:
            token.encode("ascii")
            self._http = httpx.Client(
                base_url=f"{url.rstrip('/')}/api/v2/",
                headers={"Authorization": f"Bearer {token}"},
                timeout=httpx.Timeout(_SECONDS, connect=10.0),
            )
        except (httpx.InvalidURL, UnicodeEncodeError):
            raise invalid("expected a URL such as https://jobs.example.org, and a token of ASCII characters") from None
        self._url = url

    @classmethod
    def from_env(cls) -> "ServerClient":
        """Raises `Error` (invalid) that names what is not set."""
        faults = [Fault("required but not set", key=name) for name in (URL, TOKEN) if not os.environ.get(name)]
        if faults:
            raise invalid(str(faults[0]), faults=faults)
        if urlsplit(os.environ[URL]).scheme not in ("http", "https"):
            raise invalid("expected a URL such as https://jobs.example.org", URL)
        proxies.check()
        return cls(os.environ[URL], os.environ[TOKEN])

    def __enter__(self) -> "ServerClient":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._http.close()

    def get(
        self,
        path: str,
        params: Mapping[str, str | int] | None = None,
        headers: Mapping[str, str] | None = None,
        wait: float = 0.0,
    ) -> "httpx.Response":
        """``path`` is below /api/v2/. ``wait``: how long the server may hold the answer back."""
        return self._answer(self._call("GET", path, params=params, headers=headers, timeout=_SECONDS + wait))

    def send(self, method: str, path: str, fields: Mapping[str, Any] | None = None) -> Any:
        """Changes something, once, however often it has to be sent. Returns the answer's JSON."""
        headers = {"Idempotency-Key": secrets.token_hex(16)}
        for left in reversed(range(_ATTEMPTS)):
            try:
                return _json(self._answer(self._call(method, path, json=fields, headers=headers)))
            except Error as error:
                if error.code is not Code.UNAVAILABLE or not left:
                    raise
                time.sleep(_PAUSE_SECONDS)
        raise AssertionError("the last attempt returns or raises")

    def items(self, path: str, params: Mapping[str, str | int], most: int) -> Iterator[Any]:
        """The items of a list, page by page, up to ``most``."""
        left, query = most, {**params, "limit": min(most, 1000)}
        while True:
            page = _json(self.get(path, query))
            items = page["results"][:left]
            yield from items
            left -= len(items)
            if left <= 0 or page["next"] is None:
                return
            # The next page is taken from this server, whatever address it gives itself.
            query = dict(parse_qsl(urlsplit(page["next"]).query))

    def _call(self, method: str, path: str, **options: Any) -> "httpx.Response":
        import httpx

        try:
            return self._http.request(method, path, **options)
        except httpx.HTTPError as error:
            raise unavailable(f"{self._url} does not answer ({type(error).__name__})") from None

    def _answer(self, answer: "httpx.Response") -> "httpx.Response":
        """Raises `Error` if the server refuses."""
        status = answer.status_code
        if status < 300 or status == 304:
            return answer
        body = _fields(answer)
        detail = body.pop("detail", None)
        faults = [
            Fault(str(reason), key=name)
            for name, reasons in body.items()
            for reason in (reasons if isinstance(reasons, list) else [reasons])
        ]
        if status == 403 and detail is None:
            raise forbidden("the server refuses the token")
        message = str(detail or (faults[0] if faults else f"{self._url} answered with {status}"))
        retry = answer.headers.get("Retry-After", "")
        seconds = int(retry) if retry.isdecimal() else None
        raise Error(_CODES.get(status, Code.UNAVAILABLE), message, faults=faults, seconds=seconds)


def _fields(answer: "httpx.Response") -> dict[str, Any]:
    try:
        body = answer.json()
    except ValueError:
        return {}
    return body if isinstance(body, dict) else {}


def _json(answer: "httpx.Response") -> Any:
    try:
        return answer.json()
    except ValueError:
        raise unavailable(f"{answer.url.host} answered with something that is not JSON") from None
