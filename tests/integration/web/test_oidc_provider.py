"""Logging in at a certified OpenID Connect provider that other people wrote, node's oidc-provider, on loopback.

Skipped until `npm ci` has installed it in tests/integration/service/accounts/oidc_provider.
"""

import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urljoin

import httpx
import pytest

from jobserver import bootstrap
from jobserver.config.settings import Settings
from jobserver.domain.accounts import oidc_id
from jobserver.serving.server import Server, serve
from tests.e2e.harness import free_port, git
from tests.e2e.pages.browser import Browser
from tests.integration.service.accounts.fake_oidc import CLIENT, SECRET

FOLDER = Path(__file__).parents[1] / "service" / "accounts" / "oidc_provider"
HERE = "http://127.0.0.1:9"

pytestmark = pytest.mark.skipif(
    shutil.which("node") is None or not (FOLDER / "node_modules").is_dir(),
    reason=f"needs node, and `npm ci` in {FOLDER.relative_to(Path(__file__).parents[3])}",
)


@pytest.fixture(scope="module")
def provider() -> Iterator[str]:
    port = free_port()
    command = ["node", "provider.mjs", str(port), f"{HERE}/login/oidc/callback/", f"{HERE}/login/"]
    with subprocess.Popen(command, cwd=FOLDER, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        try:
            assert process.stdout is not None
            assert any("ready" in line for line in process.stdout)
            yield f"http://127.0.0.1:{port}"
        finally:
            process.kill()


def server_with(folder: Path, issuer: str, **values: str) -> Server:
    settings = Settings.from_env(
        _env_file=None,
        secret_key="0123456789abcdef",
        base_url=HERE,
        state_repo=folder / "state.git",
        admin_users="root",
        **{"oidc_issuer": issuer, "oidc_client_id": CLIENT, "oidc_client_secret": SECRET, **values},
    )
    bootstrap.create(settings).close()
    return serve(settings)


def logged_in(server: Server, provider: str, login: str) -> tuple[httpx.Client, httpx.Response]:
    """A browser that went to the provider, logged in and agreed there, and came back; and the answer to that."""
    browser = httpx.Client(transport=httpx.WSGITransport(app=server.wsgi), base_url=HERE)
    url = browser.get("/login/oidc/").headers["Location"]
    assert url.startswith(f"{provider}/auth?")
    with httpx.Client(follow_redirects=False) as there:
        while not url.startswith(HERE):
            answer = there.get(url)
            if answer.status_code == 200:  # a form: first who somebody is, then whether they agree
                fields = dict(re.findall(r'<input type="hidden" name="(\w+)" value="(\w*)"', answer.text))
                action = re.search(r'<form[^>]* action="([^"]+)"', answer.text)
                assert action, answer.text
                answer = there.post(action[1], data={**fields, "login": login, "password": "x"})
            url = urljoin(str(answer.url), answer.headers["Location"])
    return browser, browser.get(url.removeprefix(HERE))


@pytest.mark.parametrize(
    ("values", "is_let_in"), [({}, True), ({"oidc_group": "staff"}, True), ({"oidc_group": "x"}, False)]
)
def test_a_person_logs_in(tmp_path: Path, provider: str, values: dict[str, str], is_let_in: bool) -> None:
    server = server_with(tmp_path, provider, oidc_scopes="openid profile email groups", **values)
    browser, answer = logged_in(server, provider, "dora")
    assert answer.status_code == (303 if is_let_in else 403), answer.text
    if is_let_in:
        settings = browser.get("/settings/")
        assert "dora@uni.example" in settings.text
        document = git(server.app.settings.state_repo, "show", "main:users/dora.yaml")
        assert oidc_id(provider, "dora") in document
        assert "name: dora of the university" in document
        assert browser.post("/logout/", data={"form": Browser.token(settings)}).status_code == 303
        leave = browser.get("/login/oidc/logout/").headers["Location"]
        assert httpx.get(leave).status_code == 200  # 400 for a client or an address that it does not know
    browser.close()
    server.close()


def test_a_wrong_secret_is_named(tmp_path: Path, provider: str) -> None:
    server = server_with(tmp_path, provider, oidc_client_secret="wrong")
    browser, answer = logged_in(server, provider, "dora")
    assert (answer.status_code, "401 (invalid_client)" in answer.text) == (403, True)
    browser.close()
    server.close()
