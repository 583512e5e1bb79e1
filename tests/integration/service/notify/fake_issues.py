"""A server on loopback that answers as GitHub's REST API does to calls about issues, which it keeps.

PyGithub's own classes read its answers, so a shape that GitHub does not have would show.
"""

import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit


class FakeIssues(ThreadingHTTPServer):
    """``trouble``: a status for every answer. ``dies_after``: closes the connection after it did the next such calls,
    before it answers them. ``deleted``: numbers of issues."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.issues: dict[str, list[dict[str, Any]]] = {"org/outputs": []}
        self.comments: dict[tuple[str, int], list[dict[str, Any]]] = {}
        self.trouble = 0
        self.deleted: set[int] = set()
        self.dies_after = ""
        self.calls: list[str] = []

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A connection that this server closed is what some tests are about."""

    def texts(self, number: int = 1, repository: str = "org/outputs") -> list[str]:
        return [comment["body"].split("\n\n<!--")[0] for comment in self.comments.get((repository, number), [])]


@contextmanager
def fake_issues() -> Iterator[FakeIssues]:
    server = FakeIssues()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Handler(BaseHTTPRequestHandler):
    server: FakeIssues

    def log_message(self, format: str, *args: Any) -> None:
        pass

    def reply(self, status: int, body: Any) -> None:
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json; charset=utf-8")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def _handle(self) -> None:
        server, parts = self.server, urlsplit(self.path)
        length = int(self.headers.get("Content-Length") or 0)
        sent = json.loads(self.rfile.read(length)) if length else {}
        call = f"{self.command} {parts.path}"
        server.calls.append(call)
        if server.trouble:
            self.reply(server.trouble, {"message": "no"})
            return
        found = re.fullmatch(r"/repos/(\w+/\w+)/issues(?:/(\d+))?(/comments)?", parts.path)
        if found is None or found[1] not in server.issues or self.headers["Authorization"] != "token secret":
            self.reply(404, {"message": "Not Found"})
            return
        status, body = self._answer(found[1], int(found[2] or 0), bool(found[3]), sent, parse_qs(parts.query))
        if server.dies_after and re.fullmatch(server.dies_after, call):
            server.dies_after = ""
            self.close_connection = True
            return
        self.reply(status, body)

    do_GET = do_POST = do_PATCH = _handle

    def _answer(
        self, repository: str, number: int, is_comment: bool, sent: dict[str, Any], query: dict[str, list[str]]
    ) -> tuple[int, Any]:
        issues, server = self.server.issues[repository], self.server
        url = f"{server.url}/repos/{repository}/issues"
        if number and number > len(issues):
            return 404, {"message": "Not Found"}
        if number in server.deleted:
            return 410, {"message": "This issue was deleted"}
        if is_comment:
            comments = server.comments.setdefault((repository, number), [])
            if self.command == "GET":
                return 200, comments
            if issues[number - 1].get("locked"):
                return 403, {"message": "Unable to create comment because issue is locked."}
            comments.append({"id": len(comments) + 1, "body": sent["body"], "url": f"{url}/comments/{len(comments)}"})
            return 201, comments[-1]
        if self.command == "POST":
            issues.append(
                {
                    "number": len(issues) + 1,
                    "url": f"{url}/{len(issues) + 1}",
                    "title": sent["title"],
                    "body": sent["body"],
                    "state": "open",
                    "labels": [{"name": name} for name in sent["labels"]],
                }
            )
            return 201, issues[-1]
        if not number:
            assert query["state"] == ["all"]
            return 200, [issue for issue in reversed(issues) if issue["number"] not in server.deleted]
        if self.command == "PATCH":
            assert set(sent) == {"state", "labels"}
            issues[number - 1] |= {"state": sent["state"], "labels": [{"name": name} for name in sent["labels"]]}
        return 200, issues[number - 1]
