"""deploy/nginx/jobserver.conf in front of a server: https, open pages, waiting polls, large pushes and clones."""

import re
import secrets
import shutil
import ssl
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from tests.e2e.harness import Site, free_port, git, serving
from tests.e2e.pages.browser import Browser
from tests.samples import only_whole

CONF = Path(__file__).parents[3] / "deploy" / "nginx" / "jobserver.conf"
MIB = 1024 * 1024

pytestmark = pytest.mark.skipif(shutil.which("nginx") is None, reason="nginx is not installed")


class Proxied(Site):
    """A site whose people and runners see nginx's address only."""

    def __init__(self, folder: Path, path: str = "") -> None:
        super().__init__(folder)
        self.path = path
        self.https, self.http = free_port(), free_port()
        self.behind = self.url + path
        self.url = f"https://127.0.0.1:{self.https}{path}"
        self.certificate = folder / "server.crt"
        self.env |= {"BASE_URL": self.url, "TRUSTED_PROXIES": "127.0.0.1", "MAX_STORED_MIB_PER_DAY": "0"}

    def write(self) -> Path:
        """nginx's settings: those of the file, with the ports, names and the certificate of this test."""
        key = self.folder / "server.key"
        command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
        command += ["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1", "-days", "2"]
        subprocess.run([*command, "-keyout", key, "-out", self.certificate], check=True, capture_output=True)
        text = CONF.read_text()
        for pattern, replacement in {
            r"server 127\.0\.0\.1:8000": f"server 127.0.0.1:{self.port}",
            r"listen 80;": f"listen 127.0.0.1:{self.http};",
            r"listen 443 ssl;": f"listen 127.0.0.1:{self.https} ssl;",
            r"listen \[::\].*;\n": "",
            r"/etc/letsencrypt\S*/fullchain\.pem": str(self.certificate),
            r"/etc/letsencrypt\S*/privkey\.pem": str(key),
            r"jobs\.example\.org": "127.0.0.1",
            r"location / \{\n": f"location {self.path}/ {{\n",
        }.items():
            text, count = re.subn(pattern, replacement, text)
            assert count, pattern
        for name in ("body", "proxy", "fastcgi", "scgi", "uwsgi"):
            kind = "client_body" if name == "body" else name
            text = f"{kind}_temp_path {self.folder}/nginx-{name};\n{text}"
        self.verify = ssl.create_default_context(cafile=str(self.certificate))
        main = self.folder / "nginx.conf"
        log = self.folder / "nginx.log"
        main.write_text(
            f"pid {self.folder}/nginx.pid;\nerror_log {log};\ndaemon off;\nevents {{}}\n"
            f"http {{\naccess_log {self.folder}/access.log;\n{text}\n}}\n"
        )
        return main

    def wait(self, healthy: int = 200, seconds: float = 90) -> None:
        """For the server itself, whatever is in front."""
        front, self.url = self.url, self.behind
        try:
            super().wait(healthy, seconds)
        finally:
            self.url = front


@contextmanager
def behind_nginx(site: Proxied) -> Iterator[Proxied]:
    conf = site.write()
    nginx = subprocess.Popen(["nginx", "-p", str(site.folder), "-c", str(conf), "-e", str(site.folder / "nginx.log")])
    try:
        with serving(site):
            yield site
    finally:
        nginx.terminate()
        nginx.wait(20)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxied]:
    with behind_nginx(Proxied(tmp_path_factory.mktemp("site"))) as made:
        yield made


@pytest.fixture(autouse=True)
def certificate(site: Proxied, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_SSL_CAINFO", str(site.certificate))


def test_http_leads_to_the_same_place_by_https(site: Proxied) -> None:
    answer = httpx.get(f"http://127.0.0.1:{site.http}/status/?a=b")
    assert (answer.status_code, answer.headers["Location"]) == (308, "https://127.0.0.1/status/?a=b")


def test_a_person_logs_in_over_https_with_a_cookie_for_https_only(site: Proxied) -> None:
    with Browser(site, "alice") as alice:
        assert alice.get("/").status_code == 200
        assert all(cookie.secure for cookie in alice.cookies.jar)


def test_a_poll_waits_as_long_as_it_asks_for(site: Proxied) -> None:
    with site.client("tpp") as tpp:
        tag = tpp.get("/api/v2/job-requests/").headers["ETag"]
        headers = {"If-None-Match": tag, "Prefer": "wait=2"}
        began = time.monotonic()
        assert tpp.get("/api/v2/job-requests/", headers=headers).status_code == 304
        assert time.monotonic() - began >= 2


def test_an_open_page_hears_at_once_what_changed(site: Proxied) -> None:
    identifier = site.ask()
    page = f"/live/?topic=request/{identifier}"
    with Browser(site, "alice") as alice, alice.stream("GET", page, timeout=20) as stream:
        events = (line for line in stream.iter_lines() if line.startswith("event:"))
        assert next(events) == "event: hello"
        with site.client("alice") as other:
            assert other.post(f"/api/v2/job-requests/{identifier}/cancel/", json={}).status_code == 200
        assert next(events) == "event: change"


@only_whole
def test_a_clone_of_100_mb_comes_through(site: Proxied, tmp_path: Path) -> None:
    large = tmp_path / "large"
    large.write_bytes(secrets.token_bytes(100 * MIB))
    site.git("update-ref", "refs/tags/large", site.git("hash-object", "-w", "--", str(large)))
    try:
        git(tmp_path, "clone", "-q", "--mirror", url(site, "root"), "copy.git")
        assert git(tmp_path / "copy.git", "cat-file", "-s", "refs/tags/large") == str(100 * MIB)
    finally:
        site.git("update-ref", "-d", "refs/tags/large")


@only_whole
def test_a_large_push_gets_to_the_server(site: Proxied, tmp_path: Path) -> None:
    """It is the server that judges it, and not nginx with its 413."""
    git(tmp_path, "clone", "-q", "--branch", "main", url(site, "root"), "work")
    work = tmp_path / "work"
    (work / "large.bin").write_bytes(secrets.token_bytes(50 * MIB))
    git(work, "add", ".")
    git(work, "commit", "-qm", "large")
    pushed = subprocess.run(["git", "-C", work, "push", "-q", "origin", "main"], capture_output=True, text=True)
    assert pushed.returncode != 0
    assert "large.bin" in pushed.stderr and "413" not in pushed.stderr


def test_who_guesses_tokens_can_not_pretend_to_be_many(site: Proxied) -> None:
    with site.client(None) as stranger:
        statuses = [
            stranger.get(
                "/api/v2/users/alice/", headers={"Authorization": "wrong", "X-Forwarded-For": f"192.0.2.{number}"}
            ).status_code
            for number in range(101)
        ]
    assert (statuses[0], statuses[-1]) == (403, 429)


def test_no_link_that_logs_in_is_in_the_log(site: Proxied) -> None:
    with Browser(site, "alice") as alice:
        assert alice.get("/status/").status_code == 200
    log = (site.folder / "access.log").read_text()
    assert "/status/" in log
    assert "/login/link/" not in log


@only_whole
def test_a_base_url_with_a_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """docs/deploy/nginx.md: `location /data/jobs/`, and no path after the name of the upstream."""
    with behind_nginx(Proxied(tmp_path / "site", "/data/jobs")) as site:
        monkeypatch.setenv("GIT_SSL_CAINFO", str(site.certificate))
        with Browser(site, "alice") as alice:
            page = alice.get("/")
            assert page.status_code == 200
            assert 'href="/data/jobs/status/"' in page.text
        with site.client("tpp") as tpp:
            assert tpp.get("/api/v2/job-requests/").status_code == 200
        git(tmp_path, "clone", "-q", "--bare", url(site, "root"), "copy.git")


def url(site: Proxied, who: str) -> str:
    return f"{site.url}/state.git".replace("https://", f"https://x:{site.tokens[who]}@")
