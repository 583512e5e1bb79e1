"""Answers the calls of a controller over HTTP, and runs a runner's loop for each of its backends."""

import json
import logging
import threading
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from jobserver.errors import unavailable
from jobserver.runner.config import RunnerConfig
from jobserver.runner.controller.api import Answer, ControlledBackend, ControllerApi
from jobserver.runner.controller.book import RapBook
from jobserver.runner.controller.spec import BASE, spec
from jobserver.runner.loop import Runner

_MAX_BODY = 10 * 1024 * 1024
_SECONDS = 30.0  # for a client to send its request
_log = logging.getLogger(__name__)


def run_controller(
    config: RunnerConfig, tokens: Mapping[str, Sequence[str]], address: tuple[str, int], stop: threading.Event
) -> None:
    """Runs until ``stop`` is set. ``config``: of each backend's runner, below its ``root``. ``tokens``: a backend ->
    the tokens of those who may use it here. Raises `Error` (unavailable) if nothing can listen at the address."""
    runners = {slug: _runner(replace(config, backend=slug, root=config.root / slug), stop) for slug in tokens}
    backends = {slug: ControlledBackend(book, runner.tasks) for slug, (book, runner) in runners.items()}
    by_token: dict[str, frozenset[str]] = {}
    for slug, secrets in tokens.items():
        for secret in secrets:
            by_token[secret] = by_token.get(secret, frozenset()) | {slug}
    try:
        server = _Server(address, ControllerApi(backends, by_token))
    except OSError as error:
        raise unavailable(f"can't listen: {error.strerror}", f"{address[0]}:{address[1]}") from None
    errors: list[Exception] = []
    loops = [threading.Thread(target=_loop, args=(runner, stop, errors)) for _, runner in runners.values()]
    for thread in (threading.Thread(target=server.serve_forever, args=(0.1,), daemon=True), *loops):
        thread.start()
    _log.info("controller of %s at http://%s:%d%s", ", ".join(tokens), *server.server_address[:2], BASE)
    stop.wait()
    server.shutdown()
    server.server_close()
    for thread in loops:
        thread.join()
    if errors:
        raise errors[0]


def client_tokens_of(backend: str) -> str:
    """The environment variable with the tokens of those who may call for a backend, as OpenSAFELY's controllers name
    it."""
    return f"{backend.upper().replace('-', '_')}_CLIENT_TOKENS"


def _runner(config: RunnerConfig, stop: threading.Event) -> tuple[RapBook, Runner]:
    book = RapBook(config.root, lambda: datetime.now(UTC))
    return book, Runner(config, book, stop)


def _loop(runner: Runner, stop: threading.Event, errors: list[Exception]) -> None:
    try:
        runner.run()
    except Exception as error:  # noqa: BLE001 - raised again in the main thread
        errors.append(error)
    finally:
        stop.set()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, address: tuple[str, int], api: ControllerApi) -> None:
        super().__init__(address, _Handler)
        self.api, self.spec = api, spec()

    def handle_error(self, request: Any, client_address: Any) -> None:
        _log.info("a client went away: %s", client_address[0])


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    timeout = _SECONDS
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: Any) -> None:
        _log.debug(format, *args)

    def handle_call(self) -> None:
        path = self.path.partition("?")[0].removeprefix(f"{BASE}/")
        methods = [method for method, known in self.server.api.calls if known == path]
        if path == "spec.json":
            self._send((200, self.server.spec) if self.command == "GET" else _not_allowed(["GET"]))
        elif not methods:
            self._send((404, {"error": "Not found", "details": "no such call"}))
        elif self.command not in methods:
            self._send(_not_allowed(methods), {"Allow": ", ".join(methods)})
        elif (body := self._body()) is None:
            self.close_connection = True
            self._send((413, {"error": "Too large", "details": f"expected at most {_MAX_BODY} bytes"}))
        else:
            self._send(self._answer(path, body))

    def _answer(self, path: str, body: bytes) -> Answer:
        token = self.headers.get("Authorization", "")
        try:
            return self.server.api.answer(self.command, path, token, body)
        except Exception:  # noqa: BLE001 - the caller gets an answer, and the log the bug
            _log.exception("%s %s", self.command, path)
            return 500, {"error": "Internal error", "details": "see the controller's log"}

    def _body(self) -> bytes | None:
        length = self.headers.get("Content-Length", "0")
        if not length.isdecimal() or int(length) > _MAX_BODY:
            return None
        return self.rfile.read(int(length))

    def _send(self, answer: Answer, headers: Mapping[str, str] | None = None) -> None:
        body = json.dumps(answer[1]).encode()
        self.send_response(answer[0])
        for name, value in {**(headers or {}), "Content-Type": "application/json"}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = do_HEAD = do_OPTIONS = do_TRACE = handle_call


def _not_allowed(methods: Sequence[str]) -> Answer:
    return 405, {"error": "Method not allowed", "details": f"expected {' or '.join(methods)}"}
