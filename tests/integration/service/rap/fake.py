"""A controller with the answers of the facts, and any other answer on demand."""

import json
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

TOKEN = "a-token"
SEEN = "2026-11-24T09:00:00Z"
Answer = tuple[int, Any]


class FakeController:
    """``slugs``: backends of the token. ``fault``: path -> what to answer in place of the answer; a number waits."""

    def __init__(self, *slugs: str) -> None:
        self.tokens, self.callers = {TOKEN}, set[str]()
        self.slugs = slugs or ("tpp",)
        self.raps: dict[str, dict[str, Any]] = {}  # what was created
        self.jobs: dict[str, list[dict[str, Any]]] = {}
        self.calls: list[tuple[str, Any]] = []
        self.fault: dict[str, Any] = {}
        self.on_create: Callable[[dict[str, Any]], Answer] | None = None
        self.backend: dict[str, Any] = {}
        self._server = _Server(self)
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/controller/v1"

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def sent(self, path: str) -> list[Any]:
        return [body for called, body in self.calls if called == path]

    def answer(self, path: str, token: str, body: Any) -> Any:
        """(status, data), bytes as they are, or a number of seconds to wait for before there is no answer."""
        self.calls.append((path, body))
        self.callers.add(token)
        if path in self.fault:
            return self.fault[path]
        if token not in self.tokens:
            return 401, {"error": "Unauthorized", "details": "Invalid token"}
        match path:
            case "backend/status/":
                return 200, {"backends": [self._backend(slug) for slug in self.slugs]}
            case "rap/create/":
                return self.on_create(body) if self.on_create is not None else self.create(body)
            case "rap/cancel/":
                return 200, {"result": "Success", "details": "cancelled", "count": len(body["actions"])}
            case "rap/status/":
                known = [job for identifier in body["rap_ids"] for job in self.jobs.get(identifier, ())]
                unknown = [identifier for identifier in body["rap_ids"] if identifier not in self.jobs]
                return 200, {"jobs": known, "unrecognised_rap_ids": unknown}
        return 404, {"error": "Not found", "details": path}

    def _backend(self, slug: str) -> dict[str, Any]:
        off = {"status": "off", "since": None}
        return {"slug": slug, "last_seen": SEEN, "paused": off, "db_maintenance": {**off, "type": None}} | self.backend

    def create(self, body: dict[str, Any]) -> Answer:
        identifier = body["rap_id"]
        if identifier in self.raps:
            return 200, {"result": "No change", "details": "", "rap_id": identifier, "count": 1}
        self.raps[identifier] = body
        actions = ["generate", "analyse"] if body["requested_actions"] == ["run_all"] else body["requested_actions"]
        self.jobs[identifier] = [job(identifier, action, body["backend"]) for action in actions]
        return 201, {"result": "Success", "details": "", "rap_id": identifier, "count": len(actions)}

    def move(self, identifier: str, status: str, code: str, at: int = 1) -> None:
        """Every job of the request."""
        for known in self.jobs[identifier]:
            moment = f"2026-11-24T09:00:{at:02}Z"
            is_done = status in ("succeeded", "failed")
            known |= {"status": status, "status_code": code, "updated_at": moment, "started_at": moment}
            known["completed_at"] = moment if is_done else None


def job(identifier: str, action: str, backend: str = "tpp") -> dict[str, Any]:
    return {
        "identifier": f"{identifier}-{action}",
        "rap_id": identifier,
        "action": action,
        "backend": backend,
        "run_command": "python x.py",
        "status": "pending",
        "status_code": "created",
        "status_message": "Created",
        "created_at": "2026-11-24T09:00:00Z",
        "updated_at": "2026-11-24T09:00:00Z",
        "started_at": None,
        "completed_at": None,
        "trace_context": {"traceparent": "00-x"},
        "metrics": {},
        "requires_db": False,
    }


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, fake: FakeController) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.fake = fake

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients that stop waiting go away; that is no news."""


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: Any) -> None:
        pass

    def do_GET(self) -> None:
        length = int(self.headers.get("Content-Length", 0))
        body = json.loads(self.rfile.read(length)) if length else None
        path = self.path.removeprefix("/controller/v1/")
        answer = self.server.fake.answer(path, self.headers.get("Authorization", ""), body)
        self.close_connection = True
        if isinstance(answer, int | float):
            time.sleep(answer)
        elif isinstance(answer, bytes):
            self.wfile.write(answer)
        else:
            self._send(*answer)

    do_POST = do_GET

    def _send(self, status: int, data: Any) -> None:
        content = data if isinstance(data, bytes) else json.dumps(data).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)
