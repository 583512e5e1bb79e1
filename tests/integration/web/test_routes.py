"""Pages and their addresses: no document's page hides one of the server's, and each page has its picture."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from jobserver import bootstrap
from jobserver.config.settings import Settings
from jobserver.domain.base import reserved
from jobserver.serving.server import serve
from tests.browser.shown import NOTHING_TO_SEE, SHOWN


@pytest.fixture
def rules(tmp_path: Path) -> Iterator[list[str]]:
    """Every URL that there is, as the application's router has it."""
    settings = Settings.from_env(
        _env_file=None,
        secret_key="0123456789abcdef",
        base_url="http://jobs.example",
        state_repo=tmp_path / "state.git",
        admin_users=("root",),
    )
    bootstrap.create(settings).close()
    server = serve(settings)
    try:
        yield [route.rule for route in server.wsgi.routes]  # type: ignore[attr-defined]
    finally:
        server.close()


@pytest.mark.parametrize(
    ("above", "reserved"),
    [
        ([], reserved.RESERVED),
        (["orgs"], reserved.RESERVED_ORGS),
        (["orgs", "<org>"], reserved.RESERVED_PROJECTS),
        (["orgs", "<org>", "<project>"], reserved.RESERVED),
    ],
)
def test_names_that_are_pages_are_reserved(rules: list[str], above: list[str], reserved: frozenset[str]) -> None:
    parts = [rule.strip("/").split("/") for rule in rules]
    beside = {one[len(above)] for one in parts if one[: len(above)] == above and len(one) > len(above)} - {""}
    assert any(name.startswith("<") for name in beside), "there is no document's page here"
    fixed = {name for name in beside if not name.startswith("<")}
    assert fixed
    assert fixed <= reserved


def test_every_page_has_its_picture(rules: list[str]) -> None:
    """`tests/browser` looks at it in every look; that these pictures are made is for people to look at them."""
    known = {*SHOWN, *NOTHING_TO_SEE}
    pages = {rule for rule in rules if not rule.startswith("/api/v2")}
    assert known <= pages
    assert {rule for rule in pages - known if f"{rule}/" not in pages} == set(), "a page without a picture"
    tests = "".join(path.read_text() for path in (Path(__file__).parents[2] / "browser").glob("test_*.py"))
    assert {name for names_ in SHOWN.values() for name in names_ if f'"{name}"' not in tests} == set()
