"""What the thread that fetches requests makes of the server's answers."""

import queue
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from jobserver import worker
from jobserver.errors import forbidden, unavailable
from jobserver.runner.config import RunnerConfig
from jobserver.runner.fetch import Fetcher, FetchFailed, RequestsListed

PATIENCE = 30


class Server:
    """A transport with prepared answers; after the last, no call returns before ``closed``."""

    refused: dict[str, str] = {}  # noqa: RUF012

    def __init__(self, *answers: Exception | list[Any] | None) -> None:
        self.answers, self.closed, self.used_up = list(answers), threading.Event(), threading.Event()

    def fetch(self, wait: float) -> list[Any] | None:
        if not self.answers:
            self.used_up.set()
            self.closed.wait(PATIENCE)
            return None
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    def report(self, jobs: Sequence[dict[str, Any]]) -> Sequence[str]:
        raise AssertionError

    def close(self) -> None:
        self.closed.set()


def fetched(server: Server, count: int) -> list[RequestsListed | FetchFailed]:
    """The first ``count`` messages to the runner's loop."""
    config = RunnerConfig("tpp", "", "", Path(), first_pause=0.0, longest_pause=0.0, interval=0.0)
    sent: queue.SimpleQueue[RequestsListed | FetchFailed] = queue.SimpleQueue()
    halt = threading.Event()
    fetcher = Fetcher(server, config, sent.put, halt)
    fetcher.start()
    try:
        return [sent.get(timeout=PATIENCE) for _ in range(count)]
    finally:
        halt.set()
        server.close()
        fetcher.close()
        assert sent.empty()


def test_each_list_is_passed_on_and_no_news_is_not() -> None:
    assert fetched(Server([1], None, [1, 2]), 2) == [RequestsListed([1]), RequestsListed([1, 2])]


def test_a_refusal_is_final_before_the_first_list_only() -> None:
    (failed,) = fetched(Server(forbidden("no")), 1)
    assert isinstance(failed, FetchFailed)
    assert "JOB_SERVER_TOKEN" in str(failed.error)
    assert fetched(Server([1], forbidden("no"), [2]), 2) == [RequestsListed([1]), RequestsListed([2])]


def test_an_outage_is_waited_for() -> None:
    assert fetched(Server(unavailable("down"), [1]), 1) == [RequestsListed([1])]


def test_a_bug_in_one_fetch_does_not_end_the_runners_fetching(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker, "RETRY_SECONDS", 0.0)
    assert fetched(Server(KeyError("bug"), [1]), 1) == [RequestsListed([1])]
