"""No document's page can hide a page of the server, nor be hidden by one."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from jobserver import bootstrap, serving
from jobserver.config import Settings
from jobserver.domain import names


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
    server = serving.serve(settings)
    try:
        yield [route.rule for route in server.wsgi.routes]  # type: ignore[attr-defined]
    finally:
        server.close()


@pytest.mark.parametrize(
    ("above", "reserved"),
    [
        ([], names.RESERVED),
        (["orgs"], names.RESERVED_ORGS),
        (["orgs", "<org>"], names.RESERVED_PROJECTS),
        (["orgs", "<org>", "<project>"], names.RESERVED),
    ],
)
def test_names_that_are_pages_are_reserved(rules: list[str], above: list[str], reserved: frozenset[str]) -> None:
    parts = [rule.strip("/").split("/") for rule in rules]
    beside = {one[len(above)] for one in parts if one[: len(above)] == above and len(one) > len(above)} - {""}
    assert any(name.startswith("<") for name in beside), "there is no document's page here"
    fixed = {name for name in beside if not name.startswith("<")}
    assert fixed
    assert fixed <= reserved
