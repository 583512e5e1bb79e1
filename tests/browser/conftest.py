"""Debian's Chromium on a real server with a real runner. Where there is none, this says so and the rest runs."""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

from tests.e2e.harness import Site

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
SHOTS = Path(os.environ.get("SCREENSHOTS", Path(__file__).parents[2] / "screenshots"))
HOSTILE = "<img src=x onerror=window.hacked=1>"
STUDY = f"""\
version: "4.0"
actions:
  generate_cohort: {{run: python:latest python generate.py}}
  prepare_tables: {{needs: [generate_cohort], run: python:latest python generate.py}}
  model_admissions: {{needs: [prepare_tables], run: python:latest python generate.py}}
  model_deaths: {{needs: [prepare_tables], run: python:latest python generate.py}}
  breaks: {{needs: [generate_cohort], run: python:latest python -c 'raise SystemExit(3)'}}
  report: {{needs: [model_admissions, model_deaths], run: python:latest python generate.py}}
  waits: {{run: sleep 60}}
  hostile: {{run: "python:latest python generate.py {HOSTILE}"}}
"""


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    if CHROMIUM is None:
        pytest.skip("Chromium is missing: apt-get install chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory, chromium: Browser) -> Iterator[Site]:
    made = Site(tmp_path_factory.mktemp("site"))
    generate = "import time; time.sleep(0.6); open('out.txt', 'w').write('done')\n"
    made.study("heart-study", {"project.yaml": STUDY, "generate.py": generate})
    made.start()
    with (made.folder / "runner.log").open("wb") as log:
        runner = subprocess.Popen(
            [
                *(sys.executable, "-m", "jobserver", "runner", "--backend", "tpp", "--url", made.url),
                *("--root", str(made.folder / "runner")),
            ],
            env={
                "PATH": os.environ["PATH"],
                "JOB_SERVER_TOKEN": made.tokens["tpp"],
                "STUDY_REPOS": str(made.folder / "studies"),
            },
            stdout=log,
            stderr=log,
        )
    yield made
    runner.send_signal(signal.SIGTERM)
    runner.wait(30)
    made.stop()
    made.check_record()


@pytest.fixture(params=["desktop-light", "phone-dark"])
def look(request: pytest.FixtureRequest) -> str:
    found: str = request.param
    return found


@pytest.fixture
def context(chromium: Browser, look: str) -> Iterator[BrowserContext]:
    size = {"width": 1280, "height": 900} if look.startswith("desktop") else {"width": 360, "height": 740}
    scheme = "dark" if look.endswith("dark") else "light"
    made = chromium.new_context(viewport=size, color_scheme=scheme, reduced_motion="reduce")  # type: ignore[arg-type]
    yield made
    made.close()


@pytest.fixture
def page(context: BrowserContext) -> Iterator[Page]:
    """Whatever a page logs or throws fails the test."""
    made = context.new_page()
    made.set_default_timeout(20_000)
    said: list[str] = []
    made.on("pageerror", lambda error: said.append(str(error)))
    made.on("console", lambda message: said.append(message.text) if message.type == "error" else None)
    yield made
    unexpected = [text for text in said if not any(code in text for code in ("400 (", "404 (", "ERR_FAILED"))]
    assert not unexpected, unexpected


def log_in(page: Page, site: Site, who: str) -> None:
    page.goto(site.run("user", "login-link", who))
    page.get_by_role("button", name="Log in").click()
    page.wait_for_url(f"{site.url}/")


def shoot(page: Page, look: str, name: str) -> None:
    SHOTS.mkdir(exist_ok=True)
    page.screenshot(path=SHOTS / f"{name}-{look}.png", full_page=True)
