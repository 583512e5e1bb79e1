"""/metrics: a proxy on the same machine is not this machine, also where it does not say that it is one."""

import ipaddress
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from jobserver import bootstrap
from jobserver.config.settings import Settings
from jobserver.domain.base.permissions import Actor, ActorKind, Role
from jobserver.domain.users import AddUser, AddUserToken
from jobserver.service.accounts.tokens import new_token
from jobserver.serving.server import Server, serve

ROOT = Actor(ActorKind.USER, "root")


@contextmanager
def site(folder: Path, base_url: str, proxies: str = "") -> Iterator[tuple[Server, str]]:
    settings = Settings.from_env(
        _env_file=None,
        secret_key="0123456789abcdef",
        base_url=base_url,
        state_repo=folder / "state.git",
        admin_users="root",
        trusted_proxies=(ipaddress.ip_network(proxies),) if proxies else (),
    )
    bootstrap.create(settings).close()
    server = serve(settings)
    secret, digest = new_token()
    try:
        server.app.gate.submit(ROOT, AddUser("ann", roles=(Role.AUDITOR,)), "test")
        server.app.gate.submit(ROOT, AddUserToken("ann", "prometheus", digest), "test")
        yield server, secret
    finally:
        server.close()


def ask(server: Server, **headers: str) -> int:
    transport = httpx.WSGITransport(app=server.wsgi, remote_addr="127.0.0.1")
    with httpx.Client(transport=transport, base_url="http://127.0.0.1:8000", headers=headers) as client:
        return client.get("/metrics").status_code


@pytest.mark.parametrize(
    ("base_url", "proxies", "status"),
    [
        ("http://127.0.0.1:8000", "", 200),
        ("http://localhost:8000", "", 200),
        ("https://jobs.example.org", "", 403),
        ("http://127.0.0.1:8000", "127.0.0.1", 403),
    ],
)
def test_a_silent_proxy_on_this_machine_gets_no_metrics(
    tmp_path: Path, base_url: str, proxies: str, status: int
) -> None:
    with site(tmp_path, base_url, proxies) as (server, token):
        assert ask(server) == status
        assert ask(server, **{"X-Real-IP": "203.0.113.9"}) == 403
        assert ask(server, Authorization=token) == 200  # an Auditor's, which is enough
