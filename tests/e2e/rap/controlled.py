"""A site whose backend tpp is run by a controller process: `jobserver controller`, as its operator starts it."""

import signal
import time
from collections.abc import Callable
from typing import Any

import httpx

from tests.e2e import zygote
from tests.e2e.harness import TLS, Site, bare, free_port

TOKEN = "a-token-of-the-controller"
STUDY = """\
version: "4.0"
actions:
  first: {run: python:latest python first.py}
  second: {needs: [first], run: python:latest python first.py}
  breaks: {run: python:latest python -c 'raise SystemExit(3)'}
  after: {needs: [breaks], run: python:latest python first.py}
  slow: {needs: [first], run: "sleep 60"}
"""


class ControllerProcess:
    """``slugs``: its backends."""

    def __init__(self, site: Site, *slugs: str) -> None:
        self.site, self.slugs = site, slugs or ("tpp",)
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}/controller/v1"
        self.root = site.folder / "controller"
        self.log = site.folder / "controller.log"
        tokens = {f"{slug.upper()}_CLIENT_TOKENS": f"{TOKEN},of-{slug}" for slug in self.slugs}
        self.env = bare(STUDY_REPOS=str(site.folder / "studies"), **tokens)
        self.process: zygote.Process | None = None
        self.sha = ""

    def start(self) -> None:
        backends = [word for slug in self.slugs for word in ("--backend", slug)]
        arguments = ["controller", *backends, "--port", str(self.port), "--root", str(self.root)]
        with self.log.open("ab") as log:
            self.process = zygote.start(arguments, self.env, self.site.folder, log, log)
        ends = time.monotonic() + 60
        while time.monotonic() < ends:
            try:
                httpx.get(f"{self.url}/spec.json", timeout=5, verify=TLS)
                return
            except httpx.TransportError:
                time.sleep(0.05)
        raise AssertionError(self.log.read_text())

    def end(self, number: int = signal.SIGTERM) -> int:
        assert self.process is not None
        self.process.send_signal(number)
        code = self.process.wait(60)
        self.process = None
        return code

    def call(self, path: str, body: Any = None, token: str = TOKEN) -> httpx.Response:
        headers = {"Authorization": token} if token else {}
        method = "GET" if body is None else "POST"
        return httpx.request(method, f"{self.url}/{path}", json=body, headers=headers, timeout=60, verify=TLS)


def controlled(site: Site, *slugs: str) -> ControllerProcess:
    """Connects the backends to a controller that has not been started yet."""
    controller = ControllerProcess(site, *slugs)
    site.study("hard", {"project.yaml": STUDY, "first.py": "open('out.txt', 'w').write('done')\n"})
    site.run("workspace", "add", "hard", "--repo", "hard", "--branch", "main")
    site.env["PUBLIC_READ"] = "on"
    site.env["RAP_TOKENS"] = ",".join(f"{slug}={TOKEN}" for slug in controller.slugs)
    for slug in controller.slugs:
        site.run("rap", "connect", slug, controller.url, "--repositories", "")
    return controller


def jobs(site: Site, identifier: str) -> dict[str, str]:
    """action -> status code."""
    with site.client("alice") as alice:
        item = alice.get(f"/api/v2/job-requests/{identifier}/").json()
    return {job["action"]: job["status_code"] for job in item["jobs"]}


def outcome(site: Site, identifier: str) -> str:
    with site.client("alice") as alice:
        answer: str = alice.get(f"/api/v2/job-requests/{identifier}/").json()["outcome"]
    return answer


def problem(site: Site) -> str:
    """What is wrong with the controller of tpp; empty if nothing is."""
    with site.client("alice") as alice:
        return alice.get("/api/v2/backends/tpp/").json()["controller"]["problem"] or ""


def eventually(what: Callable[[], bool], seconds: float = 60) -> None:
    """As `until`, with less load on the processes that are to get there."""
    ends = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < ends, "it did not happen"
        time.sleep(0.1)
