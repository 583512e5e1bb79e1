"""A study of 4,125 actions in 2.5 MB: requests, pages, polls, what a rerun adds to the disk, reports beside others."""

import itertools
import json
import re
import statistics
import subprocess
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass

import httpx

from benchmarks.api import etag_of, wrk
from benchmarks.common import ADMIN, TOKEN, Site, cpu, quick, server, site, table
from benchmarks.pages import TRIVIAL, cpu_ms, log_in
from benchmarks.studies import add_workspace, ask, client, commit, new_study, report
from jobserver import bootstrap
from jobserver.domain.backends import AddBackend
from jobserver.service.accounts.tokens import token_digest

COHORTS, MODELS = 25, 162
LARGE, SMALL = "large", "small"  # workspaces
BACKENDS = ("asked", "shown", "lists-one", "lists-all", "lists-named", "reported", "other", "reruns")
_LISTED = 10  # requests
_MOST_S, _MOST_MS, _MOST_BYTES = 1, 200, 2048
Row = tuple[object, ...]


@dataclass(frozen=True)
class Bench:
    """A server with both studies, and those who call it. ``times``: how often each figure is measured."""

    made: Site
    pid: int
    alice: httpx.Client
    person: httpx.Client
    times: int


def main() -> None:
    times = 3 if quick() else 10
    with site(1_000) as made:
        _prepare(made)
        with (
            server(made) as (_, pid),
            client(made, "alice") as alice,
            closing(log_in(made)) as person,
        ):
            bench = Bench(made, pid, alice, person, times)
            for name in (LARGE, SMALL):
                add_workspace(alice, name)
            columns: Sequence[str] = ("by", "s", "CPU ms", "goal, s")
            table("pipeline: a request for all actions is answered", columns, _requests(bench))
            table("pipeline: pages", ("page", "CPU ms", "KB", "KB gzipped", "goal"), _pages(bench))
            columns = ("ten requests of", "KB", "list p50 ms", "304 p50 ms", "goal")
            table("pipeline: polls", columns, _polls(bench))
            columns = ("report", "MB", "s", "another's event, worst ms", "a 304, worst ms", "a page, worst ms")
            table("pipeline: reports, and what others wait meanwhile", columns, _reports(bench))
            loose = _reruns(bench)
        table("pipeline: bytes that a rerun at the same commit adds", ("", "bytes", "goal"), _grown(made, loose, times))


def names() -> list[str]:
    return [name for cohort in range(COHORTS) for name in _of_cohort(cohort)]


def _of_cohort(cohort: int) -> list[str]:
    models = [f"model_outcomes_of_cohort_{cohort}_by_region_and_age_band_{model}" for model in range(MODELS)]
    return [f"generate_cohort_{cohort}", f"prepare_cohort_{cohort}", *models, f"combine_models_of_cohort_{cohort}"]


def project() -> str:
    """For each cohort a dataset, its tables, a model of each outcome, and a report that needs all of them."""
    lines = ["version: '5.0'", "actions:"]
    for cohort in range(COHORTS):
        first, tables, *models, last = _of_cohort(cohort)
        needs: dict[str, list[str]] = {first: [], tables: [first], **{key: [tables] for key in models}, last: models}
        for name, some in needs.items():
            lines += [
                f"  {name}:",
                f"    run: r:v2 analysis/models/fit.R --name {name} {'--adjust age,sex,region,imd ' * 10}",
                *([f"    needs: [{', '.join(some)}]"] if some else []),
                f"    outputs: {{moderately_sensitive: {{table: output/models/{name}.csv}}}}",
            ]
    return "\n".join([*lines, ""])


def _prepare(made: Site) -> None:
    text = project()
    new_study(made, LARGE, text)
    new_study(made, SMALL, "\n".join([*text.splitlines()[:5], ""]))
    app = bootstrap.connect(made.settings)
    try:
        for slug in BACKENDS:
            app.gate.submit(ADMIN, AddBackend(slug, token_digest(TOKEN.format(slug))), "benchmark")
    finally:
        app.close()


def _requests(bench: Bench) -> list[Row]:
    """Medians of seconds, and means of CPU. The server has not read the commit of each first request."""
    every, found = names(), defaultdict[str, list[tuple[float, float]]](list)

    def timed(name: str, call: Callable[[], object]) -> None:
        used = cpu(bench.pid)
        found[name].append((_seconds(call), cpu(bench.pid) - used))

    for number in range(3):
        commit(bench.made, LARGE, f"change {number}")
        timed("API, run_all, at a commit that was not read before", lambda: ask(bench.alice, LARGE, "asked"))
        for _ in range(bench.times):
            timed("API, run_all, later", lambda: ask(bench.alice, LARGE, "asked"))
            timed("API, each action by name", lambda: ask(bench.alice, LARGE, "asked", every))
    for name, actions in (("form, run_all", ["run_all"]), ("form, each action by name", every)):
        send = _sender(bench, actions)
        for _ in range(bench.times):
            timed(name, send)
    rows = ((name, *zip(*values, strict=True)) for name, values in found.items())
    return [(name, statistics.median(took), statistics.mean(used) * 1000, _MOST_S) for name, took, used in rows]


def _sender(bench: Bench, actions: list[str]) -> Callable[[], None]:
    """Sends the form of the workspace's page."""
    form = re.search(r'name="form" value="([^"]+)"', bench.person.get(f"/{LARGE}/").text)
    assert form
    fields = {"form": form[1], "requested_actions": actions, "backend": "asked", "database_name": "full"}

    def send() -> None:
        assert bench.person.post(f"/{LARGE}/", data=fields).status_code == 303

    return send


def _seconds(call: Callable[[], object]) -> float:
    began = time.perf_counter()
    call()
    return time.perf_counter() - began


def _pages(bench: Bench) -> list[Row]:
    ended, running, waiting = (ask(bench.alice, LARGE, "shown") for _ in range(3))
    for jobs in (report(ended, names(), len(names())), report(running, names(), 2000)):
        _reporter(bench, "shown", jobs)()
    paths = {
        "workspace": f"/{LARGE}/?backend=shown",
        "request that waits": f"/job-requests/{waiting}/",
        "request that runs": f"/job-requests/{running}/",
        "request that has ended": f"/job-requests/{ended}/",
        "failed job": f"/job-requests/{running}/jobs/{running}x1999/",
        "two requests compared": f"/{LARGE}/compare/?from={ended}&to={running}",
        "trends of the workspace": f"/{LARGE}/trends/",
        "audit of the backend": "/backends/shown/audit/",
    }
    trivial = cpu_ms(bench.person, bench.pid, TRIVIAL, 50)
    rows = []
    for name, path in paths.items():
        page = bench.person.get(path)
        used = cpu_ms(bench.person, bench.pid, path, bench.times) - trivial
        rows.append((name, used, len(page.content) / 1000, int(page.headers["Content-Length"]) / 1000, _MOST_MS))
    return rows


def _polls(bench: Bench) -> list[Row]:
    seconds, rows = 2 if bench.times < 10 else 5, list[Row]()
    for shown, backend, workspace, actions in (
        ("one action", "lists-one", SMALL, ["run_all"]),
        ("all actions, as run_all", "lists-all", LARGE, ["run_all"]),
        ("all actions, by name", "lists-named", LARGE, names()),
    ):
        for _ in range(_LISTED):
            ask(bench.alice, workspace, backend, actions)
        url = f"{bench.made.settings.base_url}/api/v2/job-requests/"
        size = len(httpx.get(url, headers={"Authorization": TOKEN.format(backend)}).content) / 1000
        whole = wrk(url, 1, seconds, who=backend)
        unchanged = wrk(url, 1, seconds, f"If-None-Match: {etag_of(url, backend)}", who=backend)
        goal = "1.2 x, and the time of its bytes" if rows else ""
        rows.append((shown, size, whole["50%"], unchanged["50%"], goal))
    return rows


def _reports(bench: Bench) -> list[Row]:
    """The time of each, and the longest time that others waited for an answer meanwhile."""
    every, rows = names(), list[Row]()
    request, few, other = (
        ask(bench.alice, LARGE, "reported"),
        ask(bench.alice, LARGE, "reported"),
        ask(bench.alice, SMALL, "other"),
    )
    begun = report(request, every, 0)
    for name, jobs in (
        ("nobody reports", []),
        ("every job is new", begun),
        ("the same again", begun),
        ("ten of them have ended", [*report(request, every[:10], 10), *begun[10:]]),
        ("every job has ended", report(request, every, len(every))),
        ("ten jobs of another request", report(few, every[:10], 0)),
    ):
        send = _reporter(bench, "reported", jobs) if jobs else lambda: time.sleep(1)
        with _others(bench, other) as waits:
            took = _seconds(send)
        rows.append((name, len(json.dumps(jobs)) / 1e6, took, *(max(some) * 1000 for some in waits)))
    return rows


def _reporter(bench: Bench, backend: str, jobs: list[dict[str, object]]) -> Callable[[], None]:
    """Sends a report, which is ready as bytes."""
    runner, body = client(bench.made, backend), json.dumps(jobs)

    def send() -> None:
        with closing(runner):
            runner.post("/api/v2/jobs/", content=body).raise_for_status()

    return send


@contextmanager
def _others(bench: Bench, request: str) -> Iterator[list[list[float]]]:
    """Seconds of each event of another backend, of each of its polls without news, and of each page."""
    path, steps, has_ended = "/api/v2/job-requests/", itertools.count(), threading.Event()
    runner, poller = client(bench.made, "other"), client(bench.made, "other")
    unchanged = {"If-None-Match": poller.get(path).headers["ETag"]}

    def event() -> None:
        [job] = report(request, [names()[0]], 0)
        runner.post("/api/v2/jobs/", json=[job | {"status_code": f"step_{next(steps)}"}]).raise_for_status()

    calls = (event, lambda: poller.get(path, headers=unchanged), lambda: bench.person.get("/status/"))
    waits: list[list[float]] = [[] for _ in calls]

    def repeat(call: Callable[[], object], seconds: list[float]) -> None:
        while not has_ended.is_set():
            seconds.append(_seconds(call))
            time.sleep(0.02)

    threads = [threading.Thread(target=repeat, args=each) for each in zip(calls, waits, strict=True)]
    with closing(runner), closing(poller):
        for thread in threads:
            thread.start()
        try:
            time.sleep(0.3)
            yield waits
        finally:
            has_ended.set()
            for thread in threads:
                thread.join()


def _reruns(bench: Bench) -> float:
    """Bytes of the packs of each, before maintenance."""
    ask(bench.alice, LARGE, "reruns")
    before = _bytes(bench.made)
    for _ in range(bench.times):
        ask(bench.alice, LARGE, "reruns")
    return (_bytes(bench.made) - before) / bench.times


def _grown(made: Site, loose: float, times: int) -> list[Row]:
    whole = _repacked(made)
    _git(made, "update-ref", "refs/heads/backends/reruns", f"backends/reruns~{times}")
    return [
        ("as the writer leaves it, with its index", loose, ""),
        ("after git repack -ad", (whole - _repacked(made)) / times, _MOST_BYTES),
    ]


def _repacked(made: Site) -> int:
    _git(made, "reflog", "expire", "--expire=all", "--all")
    _git(made, "repack", "-adq")
    return _bytes(made)


def _bytes(made: Site) -> int:
    folder = made.settings.state_repo / "objects"
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def _git(made: Site, *arguments: str) -> None:
    subprocess.run(["git", "-C", str(made.settings.state_repo), *arguments], check=True)


if __name__ == "__main__":
    main()
