"""A small OpenID Connect provider on a loopback port, which can also send what no honest provider sends."""

import base64
import hashlib
import json
import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any
from urllib.parse import parse_qs, unquote_plus, urlsplit

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa

CLIENT, SECRET = "jobs", "a secret: with/signs"
Claims = dict[str, Any]


@cache
def key(name: str) -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(65537, 2048)


def jwk(name: str) -> Claims:
    public = jwt.algorithms.RSAAlgorithm.to_jwk(key(name).public_key(), as_dict=True)
    return {**public, "kid": name, "use": "sig"}


def signed(claims: Claims, name: str = "first") -> str:
    return jwt.encode(claims, key(name), "RS256", {"kid": name})


class Provider(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.url = f"http://127.0.0.1:{self.server_address[1]}"
        self.people: dict[str, Claims] = {"sub-dora": {"preferred_username": "dora", "name": "Dora D"}}
        self.metadata: Claims = {
            "issuer": self.url,
            "authorization_endpoint": f"{self.url}/authorize",
            "token_endpoint": f"{self.url}/token",
            "userinfo_endpoint": f"{self.url}/userinfo",
            "jwks_uri": f"{self.url}/jwks",
            "end_session_endpoint": f"{self.url}/end",
        }
        self.keys: list[Any] = [jwk("first")]
        self.edit: Callable[[Claims], Claims] = lambda claims: claims
        self.sign: Callable[[Claims], str] = signed
        self.broken: dict[str, tuple[int, bytes]] = {}
        self.codes: dict[str, tuple[str, dict[str, str]]] = {}

    def authorize(self, url: str, subject: str) -> dict[str, str]:
        """What the browser is sent back with, after the person logged in here."""
        query = {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}
        assert url.startswith(f"{self.url}/authorize?")
        assert (query["response_type"], query["client_id"]) == ("code", CLIENT)
        assert query["code_challenge_method"] == "S256"
        code = secrets.token_hex(8)
        self.codes[code] = subject, query
        return {"code": code, "state": query["state"], "iss": self.url}

    def answer(self, path: str, form: dict[str, str], authorization: str) -> tuple[int, Any]:
        match path:
            case "/.well-known/openid-configuration":
                return 200, self.metadata
            case "/jwks":
                return 200, {"keys": self.keys}
            case "/userinfo":
                subject = authorization.removeprefix("Bearer ")
                return 200, {"sub": subject, **self.people[subject]}
            case "/token":
                return self._token(form, authorization)
        return 404, {}

    def _token(self, form: dict[str, str], authorization: str) -> tuple[int, Any]:
        given = form.get("client_id", ""), form.get("client_secret", "")
        if authorization:
            user, _, password = base64.b64decode(authorization.removeprefix("Basic ")).decode().partition(":")
            given = unquote_plus(user), unquote_plus(password)
        if given != (CLIENT, SECRET):
            return 401, {"error": "invalid_client"}
        subject, query = self.codes.pop(form["code"], ("", {}))
        digest = hashlib.sha256(form["code_verifier"].encode()).digest()
        challenge = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
        if (challenge, form["redirect_uri"]) != (query.get("code_challenge"), query.get("redirect_uri")):
            return 400, {"error": "invalid_grant"}
        now = int(time.time())
        claims = {"iss": self.url, "sub": subject, "aud": CLIENT, "iat": now, "exp": now + 60, "nonce": query["nonce"]}
        return 200, {"access_token": subject, "token_type": "Bearer", "id_token": self.sign(self.edit(claims))}


class _Handler(BaseHTTPRequestHandler):
    server: Provider

    def do_GET(self) -> None:
        path = urlsplit(self.path).path
        body = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
        form = {name: values[0] for name, values in parse_qs(body).items()}
        status, answer = self.server.answer(path, form, self.headers.get("Authorization", ""))
        content = json.dumps(answer).encode()
        status, content = self.server.broken.get(path, (status, content))
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    do_POST = do_GET

    def log_message(self, *_: Any) -> None:
        pass


@contextmanager
def provider() -> Iterator[Provider]:
    with Provider() as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
