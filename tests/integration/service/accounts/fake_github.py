"""A server on loopback that answers as GitHub's OAuth and REST API do to those who log in."""

import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

CODES = {"code-of-dora": "token-of-dora", "code-of-mallory": "token-of-mallory"}
IDS = {"dora": 1, "mallory": 2}


class GitHub(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.members = {"dora"}
        self.public_members: set[str] = set()
        self.logins = {number: login for login, number in IDS.items()}  # names as they are now
        self.sees_members = {"server"}  # whose tokens do, as members with the scope for it
        self.status_of_members = 0  # what is answered about everybody, if it is not 0
        self.org_id = 100
        self.is_down = False
        self.said_of_themselves: dict[str, str] = {}  # in place of a name and an address that are made up
        self.asked: list[str] = []

    def login_of(self, who: str) -> str:
        """Of whoever had the name ``who`` when this began."""
        return self.logins.get(IDS.get(who, 0), who)


class _Handler(BaseHTTPRequestHandler):
    server: GitHub

    def log_message(self, format: str, *args: Any) -> None:
        pass

    def reply(self, status: int, body: Any = None) -> None:
        data = b"" if body is None else json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json; charset=utf-8")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def do_POST(self) -> None:
        sent = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        assert self.path == "/login/oauth/access_token"
        is_ours = sent["client_id"] == "key" and sent["client_secret"] == "secret" and set(sent) <= {
            "client_id", "client_secret", "code"}  # fmt: skip
        token = CODES.get(sent["code"])
        if not is_ours or token is None:
            self.reply(200, {"error": "bad_verification_code", "error_description": "The code is incorrect"})
        else:
            self.reply(200, {"access_token": token, "token_type": "bearer", "scope": "read:user"})

    def said(self, is_so: bool) -> None:
        self.reply(204 if is_so else 404, None if is_so else {})

    def do_GET(self) -> None:
        server, token = self.server, (self.headers.get("Authorization") or "").partition("token-of-")[2]
        who = server.login_of(token)
        server.asked.append(self.path)
        org = {"id": server.org_id, "login": "org", "url": f"{server.url}/orgs/org"}
        if server.is_down:
            self.reply(502, {"message": "Bad Gateway"})
        elif self.path == "/user":
            person = {"login": who, "name": f"{who.title()} <b>", "email": f"{who}@example.org"}
            self.reply(200, {"id": IDS[token], **person, **server.said_of_themselves})
        elif (found := re.fullmatch(r"/user/(\d+)", self.path)) and int(found[1]) in server.logins:
            self.reply(200, {"id": int(found[1]), "login": server.logins[int(found[1])]})
        elif self.path == "/orgs/org":
            self.reply(200, org)
        elif found := re.fullmatch(r"/orgs/org/public_members/([\w-]+)", self.path):
            self.said(found[1] in server.public_members)
        elif found := re.fullmatch(r"/orgs/org/members/([\w-]+)", self.path):
            if server.status_of_members:
                self.reply(server.status_of_members, {"message": "no"})
            elif token in server.sees_members:
                self.said(found[1] in server.members)
            else:
                self.reply(302)
        else:
            self.reply(404, {"message": "Not Found"})


@contextmanager
def github() -> Iterator[GitHub]:
    server = GitHub()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
