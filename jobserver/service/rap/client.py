"""The calls of a controller's API.

A controller is another program on another machine: every answer is checked, and none is waited for or read without a
limit.
"""

from collections.abc import Mapping, Sequence
from time import monotonic
from typing import TYPE_CHECKING, Any, TypeVar

import orjson

from jobserver import __version__
from jobserver.domain.rap.answers import (
    CREATED,
    NO_CHANGE,
    NOTHING_TO_DO,
    ControllerBackend,
    ControllerBackends,
    RapRefusal,
    RapResult,
    RapStatus,
    read_answer,
)
from jobserver.errors import Code, Error
from jobserver.service import tls
from jobserver.service.studies.deadline import DeadlineRunner

if TYPE_CHECKING:
    pass

M = TypeVar("M", ControllerBackends, RapStatus, RapResult, RapRefusal)
MAX_BYTES = 64 * 1024 * 1024
_SECONDS = 20.0
_CREATE_SECONDS = 60.0  # the controller reads the study meanwhile
UNKNOWN_SECONDS = 30  # after a call without an answer, until it is made again if the controller does not know of it
_OK, _CREATED, _BAD, _NO_TOKEN, _MISSING, _TIMEOUT, _SERVER_ERROR = 200, 201, 400, 401, 404, 408, 500


class ControllerFailure(Error):
    """The controller can't be reached, or its answer can't be used. ``seconds`` is set if it may have done what it was
    asked to. ``is_general``: any other call would fail as well. ``is_late``: it took all the time that it had."""

    def __init__(
        self, message: str, seconds: int | None = None, is_general: bool = False, is_late: bool = False
    ) -> None:
        super().__init__(Code.UNAVAILABLE, message, seconds=seconds)
        self.is_general, self.is_late = is_general, is_late


class ControllerClient:
    """Thread-safe. Each call raises `ControllerFailure`."""

    def __init__(self, url: str, token: str, patience: float = 1.0) -> None:
        """``patience``: a factor on all time limits."""
        import httpx

        self._patience = patience
        self._run_until = DeadlineRunner(at_once=4)
        self._http = httpx.Client(
            headers={"Authorization": token, "User-Agent": f"jobserver/{__version__}", "Accept": "application/json"},
            timeout=_CREATE_SECONDS * patience,
            verify=tls.context(),
            limits=httpx.Limits(max_keepalive_connections=0),  # an idle one may be closed while it is used again
        )
        self._url = url

    def close(self) -> None:
        self._http.close()

    def backends(self) -> tuple[ControllerBackend, ...]:
        """Those that the token may speak for."""
        status, body = self._call("GET", "backend/status/")
        return self._read(ControllerBackends, status, body, _OK).backends

    def status(self, identifiers: Sequence[str]) -> RapStatus:
        status, body = self._call("POST", "rap/status/", {"rap_ids": list(identifiers)})
        return self._read(RapStatus, status, body, _OK)

    def create(self, body: Mapping[str, Any]) -> RapResult | RapRefusal:
        status, answer = self._call("POST", "rap/create/", body, _CREATE_SECONDS)
        if status == _BAD:
            return self._read(RapRefusal, status, answer, _BAD)
        result = self._read(RapResult, status, answer, _OK, _CREATED)
        return _known(result, CREATED, NO_CHANGE, NOTHING_TO_DO)

    def cancel(self, identifier: str, actions: Sequence[str]) -> RapResult | RapRefusal:
        status, body = self._call("POST", "rap/cancel/", {"rap_id": identifier, "actions": list(actions)})
        if status in (_BAD, _MISSING):
            return self._read(RapRefusal, status, body, _BAD, _MISSING)
        return _known(self._read(RapResult, status, body, _OK), CREATED)

    def _read(self, model: type[M], status: int, body: bytes, *expected: int) -> M:
        if status == _NO_TOKEN:
            raise ControllerFailure("it refuses the token (401): see RAP_TOKENS", is_general=True)
        is_refused = _BAD <= status < _SERVER_ERROR and status != _TIMEOUT  # anything else may be said half-way
        seconds = None if is_refused else UNKNOWN_SECONDS
        if status not in expected:
            raise ControllerFailure(f"it answered {status}, expected {' or '.join(map(str, expected))}", seconds)
        try:
            return read_answer(model, body)
        except Error as error:
            raise ControllerFailure(error.message, seconds) from None

    def _call(
        self, method: str, path: str, body: Mapping[str, Any] | None = None, seconds: float = _SECONDS
    ) -> tuple[int, bytes]:
        """(status, body)."""
        import httpx

        limit = seconds * self._patience
        late = f"it did not answer within {limit:g} s"
        try:
            return self._run_until(monotonic() + limit, lambda: self._exchange(method, path, body))
        except (TimeoutError, httpx.ReadTimeout, httpx.WriteTimeout):
            raise ControllerFailure(late, UNKNOWN_SECONDS, is_late=True) from None
        except (httpx.ConnectTimeout, httpx.PoolTimeout):
            raise ControllerFailure(late, is_general=True) from None
        except (httpx.ConnectError, httpx.UnsupportedProtocol, httpx.InvalidURL) as error:
            raise ControllerFailure(f"it can't be reached ({type(error).__name__})", is_general=True) from None
        except httpx.HTTPError as error:  # it may have the whole call
            raise ControllerFailure(f"there was no whole answer ({type(error).__name__})", UNKNOWN_SECONDS) from None

    def _exchange(self, method: str, path: str, body: Mapping[str, Any] | None) -> tuple[int, bytes]:
        content = None if body is None else orjson.dumps(body)
        headers = {} if content is None else {"Content-Type": "application/json"}
        with self._http.stream(method, f"{self._url}/{path}", content=content, headers=headers) as answer:
            kept = bytearray()
            for chunk in answer.iter_bytes():
                kept += chunk
                if len(kept) > MAX_BYTES:
                    message = f"its answer is larger than {MAX_BYTES // 1024 // 1024} MiB"
                    raise ControllerFailure(message, UNKNOWN_SECONDS)
            return answer.status_code, bytes(kept)


def _known(result: RapResult, *results: str) -> RapResult:
    if result.result not in results:
        message = f"it answered {result.result[:100]!r}, which the server does not know"
        raise ControllerFailure(message, UNKNOWN_SECONDS)
    return result
