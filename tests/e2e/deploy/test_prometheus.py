"""deploy/prometheus and deploy/grafana: judged by promtool, and held to the numbers of a real server."""

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.harness import Site, git, job
from tests.samples import only_whole

DEPLOY = Path(__file__).parents[3] / "deploy"
ALERTS, DASHBOARD = DEPLOY / "prometheus/alerts.yml", DEPLOY / "grafana/jobserver.json"
SUFFIXES = re.compile(r"_(bucket|sum|count)$")
NAMES = re.compile(r"\b(?:jobserver|process)_[a-z_]+")
needs_promtool = pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool (prometheus) is not installed")


@pytest.fixture(scope="module")
def metrics(tmp_path_factory: pytest.TempPathFactory) -> str:
    """/metrics of a server with a hosted repository, after a request, a report and a fetch."""
    site = Site(tmp_path_factory.mktemp("site"))
    host = site.folder / "host.git"
    git(site.folder, "clone", "-q", "--mirror", str(site.repo), str(host))
    site.env["STATE_REMOTE"] = str(host)
    site.start()
    identifier = site.ask()
    with site.client("tpp") as tpp:
        assert tpp.report(job(identifier, "a")).status_code == 200
    url = f"http://x:{site.tokens['root']}@127.0.0.1:{site.port}/state.git"
    git(site.folder, "clone", "-q", "--bare", url, "copy.git")
    site.get("/metrics")
    text = site.get("/metrics").text
    site.stop()
    return text


def values(metrics: str) -> dict[str, float]:
    return {line.rpartition(" ")[0]: float(line.rpartition(" ")[2]) for line in metrics.splitlines() if line[0] != "#"}


def known(metrics: str) -> set[str]:
    """Counters are declared with their ``_total``; info has the name of its sample."""
    return set(re.findall(r"^# TYPE (\S+)", metrics, re.MULTILINE))


def queries() -> Iterator[tuple[str, str]]:
    for line in ALERTS.read_text().splitlines():
        if (match := re.match(r"\s+expr: (.*)", line)) is not None:
            yield "alerts.yml", match[1]
    dashboard = json.loads(DASHBOARD.read_text())
    for panel in dashboard["panels"]:
        for target in panel.get("targets", ()):
            yield panel["title"], target["expr"]
    yield "variables", dashboard["templating"]["list"][1]["query"]["query"]


def test_each_number_in_alerts_and_dashboard_exists(metrics: str) -> None:
    names = known(metrics)
    missing = [
        (place, name)
        for place, query in queries()
        for name in NAMES.findall(re.sub(r'"[^"]*"', "", query))
        if name not in names and SUFFIXES.sub("", name) not in names
    ]
    assert missing == []
    assert len(list(queries())) > 40


def test_the_numbers_say_what_happened(metrics: str) -> None:
    numbers = values(metrics)
    assert numbers['jobserver_queue_job_requests{backend="tpp"}'] == 1
    assert 0 < numbers['jobserver_queue_oldest_seconds{backend="tpp"}'] < 60
    assert numbers['jobserver_queue_oldest_seconds{backend="emis"}'] == 0
    assert 0 <= numbers['jobserver_backend_silent_seconds{backend="tpp"}'] < 60
    assert numbers['jobserver_backend_alert_after_seconds{backend="tpp"}'] == 300
    for step in ("write", "batch", "decide", "sign", "sync", "publish", "git"):
        assert numbers[f'jobserver_step_seconds_count{{step="{step}"}}'] >= 2, step
    assert numbers["jobserver_batch_size_count"] >= 2
    assert numbers["jobserver_batch_size_sum"] >= numbers["jobserver_batch_size_count"]
    for path, method in (("info/refs", "GET"), ("git-upload-pack", "POST")):
        count = f'jobserver_requests_total{{endpoint="/state.git/{path}",method="{method}",status="200"}}'
        assert numbers[count] >= 1
    assert numbers["jobserver_repository_packs"] >= 1
    assert numbers["jobserver_repository_bytes"] > 1000
    assert numbers["jobserver_host_lag_seconds"] < 60
    assert numbers["process_resident_memory_bytes"] > 1_000_000
    wrong = (
        "read_problems",
        "write_problems",
        "frozen_branches",
        "strayed_branches",
        "host_down",
        "unreadable_numbers",
    )
    assert {name: numbers[f"jobserver_{name}"] for name in wrong} == dict.fromkeys(wrong, 0)


@needs_promtool
@pytest.mark.parametrize(
    "arguments",
    [
        ("check", "rules", "alerts.yml"),
        pytest.param(("test", "rules", "alerts_test.yml"), marks=only_whole),
        ("check", "config", "--syntax-only", "prometheus.yml"),
    ],
    ids=" ".join,
)
def test_promtool_accepts(arguments: tuple[str, ...]) -> None:
    done = subprocess.run(
        ["promtool", *arguments], cwd=DEPLOY / "prometheus", capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_alert_has_a_test() -> None:
    alerts = re.findall(r"- alert: (\w+)", ALERTS.read_text())
    tests = (DEPLOY / "prometheus/alerts_test.yml").read_text()
    fired = set(re.findall(r"alertname: (\w+)\n\s+exp_alerts|alertname=\"(\w+)\"", tests))
    assert set(alerts) <= {first or second for first, second in fired}, set(alerts)


@needs_promtool
def test_promtool_reads_the_queries_of_the_dashboard(tmp_path: Path) -> None:
    """As recording rules, with Grafana's variables filled in."""
    rules = [
        {"record": f"panel:{number}", "expr": query.replace("$__rate_interval", "5m").replace("$instance", ".*")}
        for number, (place, query) in enumerate(queries())
        if place not in ("alerts.yml", "variables")
    ]
    (tmp_path / "rules.yml").write_text(json.dumps({"groups": [{"name": "dashboard", "rules": rules}]}))
    done = subprocess.run(
        ["promtool", "check", "rules", "rules.yml"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_panels_do_not_overlap() -> None:
    cells = set()
    for panel in json.loads(DASHBOARD.read_text())["panels"]:
        place = panel["gridPos"]
        for x in range(place["x"], place["x"] + place["w"]):
            for y in range(place["y"], place["y"] + place["h"]):
                assert (x, y) not in cells, panel["title"]
                cells.add((x, y))
