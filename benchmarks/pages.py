"""Server time of each page, the size of a first visit, and what an open page costs while nothing happens."""

import argparse
import re
import socket
import statistics
import time
from contextlib import ExitStack, closing
from pathlib import Path

import httpx

from benchmarks.common import PORT, Site, cpu, family, options, server, site, table
from benchmarks.wide import ACTIONS, WORKSPACE, add_study, ask_twice
from jobserver.cli.login_link import login_path

LIMIT_MS, LIMIT_WIDE_MS, LIMIT_RATIO = 10.0, 30.0, 1.3
TRIVIAL = "/static/nothing.css"


def main() -> None:
    chosen = options(_add_options)
    is_quick = chosen.quick
    sizes = chosen.history or ((1_000, 10_000) if is_quick else (1_000, 100_000))
    with ExitStack() as stack:
        made = [stack.enter_context(site(size, PORT + at)) for at, size in enumerate(sizes)]
        for one in made:
            add_study(one)
        pids = [stack.enter_context(server(one))[1] for one in made]
        clients = [stack.enter_context(closing(log_in(one))) for one in made]
        found = [paths(*both) for both in zip(clients, made, strict=True)]
        times = 20 if is_quick else 50
        trivial = cpu_ms(clients[1], pids[1], TRIVIAL, times)
        rows = []
        for name in found[0]:
            both = [(client, own[name]) for client, own in zip(clients, found, strict=True)]
            walls = timed(both, times)
            used = cpu_ms(clients[1], pids[1], found[1][name], times) - trivial
            rows.append((name, *walls, walls[1] / walls[0], used, f"{limit_ms(name):g} ms, {LIMIT_RATIO} x"))
        extra = [first_visit(clients[1]), idle(clients[1], made[1], pids[1], 200 if is_quick else 500)]
    columns = ("page", *(f"{size:,}" for size in sizes), "ratio", f"CPU at {sizes[1]:,}", "limit")
    table("pages: p50 ms, and mean ms of CPU", columns, rows)
    table("pages: the rest", ("", "measured", "limit"), extra)


def _add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--history", type=int, nargs=2, help="numbers of job requests")


def log_in(made: Site) -> httpx.Client:
    url = made.settings.base_url
    link = url + login_path(made.settings, "admin")
    client = httpx.Client(base_url=url, headers={"Accept-Encoding": "gzip"}, timeout=60)
    form = re.search(r'name="form" value="([^"]+)"', client.get(link).text)
    assert form
    assert client.post(link, data={"form": form[1]}).status_code == 303
    return client


def paths(client: httpx.Client, made: Site) -> dict[str, str]:
    archived = re.findall(r'<a href="(/job-requests/[a-z2-7]{16}/)">', client.get("/jobs/?status=succeeded").text)
    jobs = re.findall(r'<a href="(/job-requests/[a-z2-7]+/jobs/[A-Za-z0-9_-]+/)">', client.get(archived[5]).text)
    wide = ask_twice(made)
    return {
        "/": "/",
        "/jobs/": "/jobs/",
        "/jobs/?status=failed": "/jobs/?status=failed",
        "/jobs/?status=succeeded": "/jobs/?status=succeeded",
        "/jobs/?q=action_3": "/jobs/?q=action_3",
        "/jobs/?q=action:action_3 by:alice since:2020-01-01": "/jobs/?q=action:action_3+by:alice+since:2020-01-01",
        "/jobs/?q=code:nonzero_exit trends": "/jobs/?q=code:nonzero_exit+trends",
        "/jobs/?q=commit:0123456 status:failed": "/jobs/?q=commit:0123456+status:failed",
        "/jobs/?q=nothing like that": "/jobs/?q=nothing+like+that",
        "/workspaces/": "/workspaces/",
        "/jobs/?workspace=trends&username=alice": "/jobs/?workspace=trends&username=alice",
        "/job-requests/<active>/": f"/job-requests/{made.made.active[0]}/",
        "/job-requests/<finished>/": archived[5],
        "/job-requests/<id>/jobs/<id>/": jobs[0],
        "/status/": "/status/",
        "/settings/": "/settings/",
        "/orgs/": "/orgs/",
        "/backends/": "/backends/",
        "/users/": "/users/",
        "/workspaces/new/": "/workspaces/new/",
        "/trends/": "/trends/",
        "/trends/trends/": "/trends/trends/",
        "/trends/actions/action_3/": "/trends/actions/action_3/",
        "/trends/compare/": f"/trends/compare/?from={identifier(archived[6])}&to={identifier(archived[5])}",
        "/trends/audit/": "/trends/audit/",
        "/backends/tpp/history/": "/backends/tpp/history/",
        "/backends/tpp/audit/": "/backends/tpp/audit/",
        "/backends/tpp/": "/backends/tpp/",
        "/api/": "/api/",
        "/workspaces/?q=trends": "/workspaces/?q=trends",
        "/jobs/?q=status:failed by:alice workspace:trends since:2026-01-01": (
            "/jobs/?q=status:failed+by:alice+workspace:trends+since:2026-01-01"
        ),
        "/jobs/?q=backend:tpp workspace:trends by:alice until:2020-01-01": (
            "/jobs/?q=backend:tpp+workspace:trends+by:alice+until:2020-01-01"
        ),
        f"/workspace of {ACTIONS} actions/": f"/{WORKSPACE}/",
        f"/job-requests/<running, {ACTIONS} actions>/": f"/job-requests/{wide.running}/",
        f"/job-requests/<finished, {ACTIONS} actions>/": f"/job-requests/{wide.finished}/",
        f"/compare/ of {ACTIONS} actions": f"/{WORKSPACE}/compare/?from={wide.finished}&to={wide.running}",
        f"/job-requests/<{ACTIONS} actions>/jobs/<id>/": f"/job-requests/{wide.running}/jobs/{wide.running}x19/",
    }


def identifier(path: str) -> str:
    """Of a request, from the address of its page."""
    return path.split("/")[2]


def limit_ms(name: str) -> float:
    return LIMIT_WIDE_MS if str(ACTIONS) in name else LIMIT_MS


def cpu_ms(client: httpx.Client, pid: int, path: str, times: int) -> float:
    """Of a core, for each answer: what the server uses, however busy the machine is."""
    before = cpu(pid)
    for _ in range(times):
        _ms(client, path)
    return (cpu(pid) - before) / times * 1000


def timed(pages: list[tuple[httpx.Client, str]], times: int) -> list[float]:
    """Of each, milliseconds at the client, less those of an answer that needs no page; in turns, since others want the
    processors too."""
    found: list[list[float]] = [[] for _ in pages]
    for _ in range(times):
        for (client, path), took in zip(pages, found, strict=True):
            took.append(_ms(client, path) - _ms(client, TRIVIAL))
    return [statistics.median(took) for took in found]


def _ms(client: httpx.Client, path: str) -> float:
    began = time.perf_counter()
    assert client.get(path).status_code in (200, 404)
    return (time.perf_counter() - began) * 1000


def first_visit(client: httpx.Client) -> tuple[object, ...]:
    most = 0
    for path in ("/", "/jobs/", "/trends/", "/status/"):
        page = client.get(path)
        size = int(page.headers["Content-Length"])
        for file in set(re.findall(r'(?:href|src)="(/static/[^"]+)"', page.text)):
            size += int(client.get(file).headers["Content-Length"])
        most = max(most, size)
    return "bytes of the largest first visit, gzipped", f"{most:,}", "100,000"


def idle(client: httpx.Client, made: Site, pid: int, count: int) -> tuple[object, ...]:
    cookie = "; ".join(f"{name}={value}" for name, value in client.cookies.items())
    ask = f"GET /live/?topic=all HTTP/1.1\r\nHost: x\r\nCookie: {cookie}\r\n\r\n".encode()
    before = memory(pid)
    pages = []
    for _ in range(count):
        page = socket.create_connection(("127.0.0.1", made.port))
        page.sendall(ask)
        pages.append(page)
    answered = 0
    for page in pages:
        page.settimeout(20)
        said = b""
        while b"event: hello" not in said and (part := page.recv(4096)):
            said += part
        answered += b"event: hello" in said
    if answered < count:
        raise SystemExit(f"only {answered} of {count} pages were let in")
    time.sleep(12)  # the threads that the rush made have ended
    each = (memory(pid) - before) / count
    used = cpu(pid)
    time.sleep(5)
    share = (cpu(pid) - used) / 5
    for page in pages:
        page.close()
    return f"KB of each of {count} open pages ({share:.1%} of a core while nothing happens)", each, "30"


def memory(pid: int) -> float:
    """KB of the serving process and its parent."""
    total = 0.0
    for process in family(pid):
        found = re.search(r"^Rss:\s+(\d+)", Path(f"/proc/{process}/smaps_rollup").read_text(), re.MULTILINE)
        total += float(found[1]) if found else 0
    return total


if __name__ == "__main__":
    main()
