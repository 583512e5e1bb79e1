"""An answer that is held back goes to who may have it when it goes out, not to who might when they asked."""

import threading
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.e2e.harness import Site, until
from tests.e2e.pages.browser import Browser
from tests.samples import only_whole

LIST = "/api/v2/job-requests/"


@pytest.fixture
def own(tmp_path: Path) -> Iterator[Site]:
    made = Site(tmp_path / "own")
    made.start()
    yield made
    made.stop()
    made.check_record()


@pytest.mark.parametrize(
    ("who", "end"),
    [
        ("tpp", ["backend", "rotate-token", "tpp"]),
        ("carol", ["user", "disable", "carol"]),
        pytest.param("carol", ["user", "revoke-token", "carol", "command line"], marks=only_whole),
    ],
)
def test_a_held_poll_does_not_outlive_its_token(own: Site, who: str, end: list[str]) -> None:
    answers: list[httpx.Response] = []
    with own.client(who) as client:
        etag = client.get(LIST).headers["ETag"]

    def poll() -> None:
        with own.client(who) as client:
            answers.append(client.get(LIST, headers={"If-None-Match": etag, "Prefer": "wait=50"}))

    thread = threading.Thread(target=poll)
    thread.start()
    until(lambda: "jobserver_held_polls 1.0" in own.get("/metrics").text)
    own.run(*end)
    identifier = own.ask()
    thread.join()
    assert (answers[0].status_code, answers[0].json()) == (403, {"detail": "Invalid token"})
    assert identifier not in answers[0].text


@pytest.mark.parametrize("how", ["disabled", "logged out"])
def test_an_open_page_is_told_nothing_once_its_session_is_over(own: Site, how: str) -> None:
    with (
        Browser(own, "carol") as carol,
        Browser(own, "alice") as alice,
        carol.stream("GET", "/live/") as stream,
        alice.stream("GET", "/live/") as other,
    ):
        lines, others = stream.iter_lines(), other.iter_lines()
        for some in (lines, others):
            while "event: hello" not in next(some):
                pass
        if how == "disabled":
            own.run("user", "disable", "carol")
        else:
            assert carol.submit("/logout/", page="/").status_code == 303
        own.ask()
        assert "event: change" in iter(others)
        for line in lines:  # until it ends
            assert line != "event: change"


def test_a_session_stays_over_when_its_person_is_switched_on_again(own: Site) -> None:
    with Browser(own, "carol") as carol:
        assert carol.get("/settings/").status_code == 200
        own.run("user", "disable", "carol")
        own.run("user", "enable", "carol")
        assert carol.get("/settings/").status_code == 303
        assert carol.get(LIST).status_code == 403
    with Browser(own, "carol") as carol:
        assert carol.get("/settings/").status_code == 200
