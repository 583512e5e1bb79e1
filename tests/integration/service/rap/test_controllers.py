"""Which controllers are called, as the backends' documents change."""

from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from time import monotonic, sleep
from typing import Any

import pytest

from jobserver.domain.backends import Backend
from jobserver.domain.rap.controller import RapController
from jobserver.service.presence import Presence
from jobserver.service.rap.controllers import Controllers
from tests.integration.service.rap.fake import TOKEN, FakeController
from tests.integration.service.rap.test_poll import Held

NOW = datetime(2026, 11, 24, 10, tzinfo=UTC)


class Leased(Held):
    def start(self) -> None:
        """It is held already."""

    def close(self, gives_back: bool = True) -> None:
        self.is_ours = not gives_back


class Documents:
    """The record, with one backend and no requests. ``url``: of its controller."""

    def __init__(self, url: str) -> None:
        self.url = url

    def backends(self) -> dict[str, Backend]:
        rap = RapController(url=self.url, databases={"full": "default"})
        return {"tpp": Backend(slug="tpp", name="TPP", created_at=NOW, rap=rap)}

    def state(self, slugs: Sequence[str]) -> str:
        return self.url

    def active(self, slugs: Sequence[str]) -> list[Any]:
        return []


@pytest.fixture
def pair() -> Iterator[list[FakeController]]:
    made = [FakeController(), FakeController()]
    yield made
    for controller in made:
        controller.close()


def soon(is_so: Callable[[], bool]) -> None:
    ends = monotonic() + 20
    while not is_so():
        assert monotonic() < ends, "it did not happen"
        sleep(0.01)


def test_another_controller_is_called_when_the_last_call_to_the_old_one_has_ended(pair: list[FakeController]) -> None:
    """It may be a creation: the new one would not know the request, and get it as well."""
    old, new = pair
    documents, lease, ended = Documents(old.url), Leased(), []
    controllers = Controllers(documents, Presence(lambda: NOW), lease, {"tpp": TOKEN}, lambda: NOW)  # type: ignore[arg-type]
    old.fault["backend/status/"] = 1.0
    asked = old.answer

    def answer(path: str, token: str, body: Any) -> Any:
        seconds = asked(path, token, body)
        sleep(seconds)
        ended.append(len(new.calls))
        return 500, {}

    old.answer = answer  # type: ignore[method-assign]
    controllers.start()
    soon(lambda: old.calls != [])
    documents.url = new.url
    controllers._worker.wake()
    soon(lambda: new.calls != [])
    controllers.close(patience=20.0)
    assert ended == [0]
    assert len(old.calls) == 1
    assert not lease.is_ours
