"""Debian's Chromium on a real server with a real runner. Where there is none, this says so and the rest runs.

Each page is looked at on a desktop in light colours and on a phone in dark ones; with ALL_LOOKS set (`make pictures`),
every screenshot is made in all four looks.
"""

import os
import shutil
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

from tests.e2e import zygote
from tests.e2e.harness import Site, bare
from tests.samples import only_whole

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
SHOTS = Path(os.environ.get("SCREENSHOTS", Path(__file__).parents[2] / "screenshots"))
SIZES: dict[str, Any] = {"desktop": {"width": 1280, "height": 900}, "phone": {"width": 360, "height": 740}}
SCHEMES: tuple[Any, ...] = ("light", "dark")
LOOKS = ["desktop-light", "phone-dark"]
ALL_LOOKS = [f"{size}-{scheme}" for size in SIZES for scheme in SCHEMES] if os.environ.get("ALL_LOOKS") else LOOKS
# Of tests that run once for each look:
JOURNEY_LOOKS = LOOKS if "ALL_LOOKS" in os.environ else [LOOKS[0], pytest.param(LOOKS[1], marks=only_whole)]
AXE = (Path(__file__).parent / "axe" / "axe-4.14.1.min.js").read_text()
HOSTILE = "<img src=x onerror=window.hacked=1>"
STUDY = f"""\
version: "4.0"
# What the tests run.
actions:
  generate_cohort: {{run: python:latest python analysis/generate.py}}
  prepare_tables: {{needs: [generate_cohort], run: python:latest python analysis/generate.py}}
  model_admissions_by_age_band_and_region: {{needs: [prepare_tables], run: python:latest python analysis/generate.py}}
  model_deaths: {{needs: [prepare_tables], run: python:latest python analysis/generate.py}}
  breaks: {{needs: [generate_cohort], run: python:latest python -c 'raise SystemExit(3)'}}
  report:
    needs: [model_admissions_by_age_band_and_region, model_deaths]
    run: python:latest python analysis/generate.py
  waits: {{run: sleep 60}}
  hostile: {{run: "python:latest python analysis/generate.py {HOSTILE}"}}
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
    made.study("heart-study", {"project.yaml": STUDY, "analysis/generate.py": generate})
    made.start()
    with made.client("emis") as emis:
        emis.get("/api/v2/job-requests/").raise_for_status()
    arguments = ["runner", "--backend", "tpp", "--url", made.url, "--root", str(made.folder / "runner")]
    env = bare(JOB_SERVER_TOKEN=made.tokens["tpp"], STUDY_REPOS=str(made.folder / "studies"))
    with (made.folder / "runner.log").open("wb") as log:
        runner = zygote.start(arguments, env, made.folder, log, log)
    yield made
    runner.send_signal(signal.SIGTERM)
    runner.wait(30)
    made.stop()
    made.check_record()


@pytest.fixture(params=JOURNEY_LOOKS)
def look(request: pytest.FixtureRequest) -> str:
    chosen: str = request.param
    return chosen


@pytest.fixture
def context(chromium: Browser) -> Iterator[BrowserContext]:
    made = chromium.new_context(reduced_motion="reduce")
    yield made
    made.close()


@pytest.fixture
def page(context: BrowserContext, request: pytest.FixtureRequest) -> Iterator[Page]:
    """In the test's ``look``, if it has one. Whatever a page logs or throws fails the test."""
    with watched(context) as made:
        looks = request.fixturenames
        wear(made, request.getfixturevalue("look") if "look" in looks else LOOKS[0])
        yield made


@contextmanager
def watched(context: BrowserContext) -> Iterator[Page]:
    made = context.new_page()
    made.set_default_timeout(20_000)
    messages: list[str] = []
    made.on("pageerror", lambda error: messages.append(str(error)))
    made.on("console", lambda message: messages.append(message.text) if message.type == "error" else None)
    yield made
    expected = ("400 (", "403 (", "404 (", "409 (", "410 (", "429 (", "ERR_FAILED")
    unexpected = [text for text in messages if not any(code in text for code in expected)]
    assert not unexpected, unexpected


def log_in(page: Page, site: Site, who: str) -> None:
    page.goto(site.run("user", "login-link", who))
    page.get_by_role("button", name="Log in").click()
    page.wait_for_url(f"{site.url}/")


def wear(page: Page, look: str) -> None:
    size, scheme = look.split("-")
    page.set_viewport_size(SIZES[size])
    page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]


def accessible(page: Page) -> None:
    """axe-core finds nothing; run in the page's own world by the browser's debugger, which no policy stops."""
    page.evaluate(AXE)
    report: dict[str, Any] = page.evaluate("axe.run(document, {resultTypes: ['violations']})")
    violations = [
        f"{rule['id']}: {[node['html'][:120] + ' ' + node['failureSummary'][:200] for node in rule['nodes'][:3]]}"
        for rule in report["violations"]
    ]
    assert not violations, "\n".join(violations)
    width = page.evaluate("[document.documentElement.scrollWidth, innerWidth]")
    assert width[0] <= width[1], f"wider than the window: {width}"
    cut = page.evaluate("[...document.querySelectorAll('.scroll')].filter(one => one.scrollWidth > one.clientWidth + 1)"
                        ".map(one => one.getAttribute('aria-label'))")  # fmt: skip
    assert not cut, f"tables with columns that have to be scrolled to: {cut}"


def shoot(page: Page, look: str, name: str) -> None:
    """In this look; with ALL_LOOKS in both schemes, since the other size is another run of the test."""
    SHOTS.mkdir(exist_ok=True)
    size = look.split("-")[0]
    for variant in [look, *(other for other in ALL_LOOKS if other.startswith(size) and other != look)]:
        wear(page, variant)
        page.screenshot(path=SHOTS / f"{name}-{variant}.png", full_page=True)
    wear(page, look)


def inspect(page: Page, name: str) -> None:
    """A page at rest: accessible, and shot, in every look, without asking for it anew."""
    SHOTS.mkdir(exist_ok=True)
    for variant in ALL_LOOKS:
        wear(page, variant)
        if variant in LOOKS:
            accessible(page)
        page.screenshot(path=SHOTS / f"{name}-{variant}.png", full_page=True)
    wear(page, LOOKS[0])
