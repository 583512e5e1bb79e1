"""Writes a second while maintenance runs, beside writes a second without it, in turns.

``--history 1000 1000000``: by numbers of job requests. A million take an hour to make, once (see growth.py).
"""

import argparse
import itertools
import threading
import time

from benchmarks.common import ALICE, options, site, table
from benchmarks.history import PIPELINE
from jobserver import bootstrap
from jobserver.domain.job_requests.requests import RequestJobs

CLIENTS = 16


def measure(requests: int, turns: int, rest: float) -> tuple[float, float, float, float]:
    """(writes/s without, writes/s while it runs, mean seconds of a maintenance, the longest write's seconds)."""
    with site(requests) as made:
        app = bootstrap.connect(made.settings)
        counted = itertools.count()
        longest = [0.0] * CLIENTS
        problems: list[BaseException] = []
        is_over = threading.Event()

        def client(number: int) -> None:
            try:
                while not is_over.is_set():
                    began = time.perf_counter()
                    app.gate.submit(ALICE, RequestJobs("trends", "tpp", ("action_0",), "0" * 40, PIPELINE), "x")
                    longest[number] = max(longest[number], time.perf_counter() - began)
                    next(counted)
            except BaseException as error:
                problems.append(error)

        threads = [threading.Thread(target=client, args=(number,)) for number in range(CLIENTS)]
        for thread in threads:
            thread.start()
        time.sleep(rest)
        without, during = [0.0, 0.0], [0.0, 0.0]  # writes, seconds

        def take(into: list[float], what: object) -> None:
            began, before = time.perf_counter(), next(counted)
            what()  # type: ignore[operator]
            into[0] += next(counted) - before - 1
            into[1] += time.perf_counter() - began

        for _ in range(turns):
            began = time.perf_counter()
            take(during, app.repo.maintain)
            took = time.perf_counter() - began
            take(without, lambda took=took: time.sleep(max(rest, took)))  # type: ignore[misc]
        is_over.set()
        for thread in threads:
            thread.join()
        app.close()
        if problems:
            raise problems[0]
        return without[0] / without[1], during[0] / during[1], during[1] / turns, max(longest)


def main() -> None:
    chosen = options(_add_options)
    short = chosen.quick
    rows = []
    for requests in chosen.history or ((1_000,) if short else (1_000, 10_000)):
        rate, busy, seconds, longest = measure(requests, 4 if short else 10, 2 if short else 5)
        rows.append((f"{requests:,}", rate, busy, busy / rate, "0.80", seconds, longest * 1000))
    table(
        f"maintain: {CLIENTS} clients",
        ("history", "writes/s", "while it runs", "ratio", "goal", "seconds of it", "longest write ms"),
        rows,
    )


def _add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--history", type=int, nargs="+", help="numbers of job requests")


if __name__ == "__main__":
    main()
