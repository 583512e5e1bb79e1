"""Moving in as an operator does it: the command, then a server that answers as the old one did."""

import contextlib
import signal
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.e2e import zygote
from tests.e2e.harness import Site
from tests.integration.service.imports import old_rules
from tests.integration.service.imports.old_server import ROWS_2021, SCHEMA_2021, make_sqlite
from tests.samples import only_whole

TOKEN = "secret-of-tpp"
ADAPTED = {5, 6, 7}  # requests whose identifier or status the import had to change: `jobserver import --dry-run`


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    made = Site(tmp_path, is_template=True)
    made.run("init")
    make_sqlite(tmp_path / "old.sqlite3", SCHEMA_2021, ROWS_2021)
    yield made
    if made.server is not None:
        made.stop()


def identifiers(rows: set[int]) -> set[str]:
    return {row["identifier"] for row in ROWS_2021["jobserver_jobrequest"] if row["id"] in rows}


def test_the_answers_are_the_old_ones(site: Site) -> None:
    dry = site.command("import", "old.sqlite3", "--dry-run")
    assert dry.returncode == 0
    assert "jobserver_workspace 3: name 'jobs' is a page of the server" in dry.stdout
    assert "nothing was changed" in dry.stderr
    done = site.command("import", "old.sqlite3")
    assert done.returncode == 0, done.stderr
    assert "imported: 5 user, 3 org, 2 project, 3 backend, 3 workspace, 11 job-request" in done.stderr
    verified = site.command("audit", "verify")
    assert verified.returncode == 0, verified.stderr
    assert "27 commits were imported: statement 1 of" in verified.stderr
    site.start()
    with httpx.Client(base_url=site.url, headers={"Authorization": TOKEN}) as runner:
        listed = [item["identifier"] for item in runner.get("/api/v2/job-requests/").json()["results"]]
        expected = old_rules.active(ROWS_2021, backend=1)
        assert [name for name in listed if name not in identifiers(ADAPTED)] == [
            name for name in expected if name not in identifiers(ADAPTED)
        ]
        item = runner.get("/api/v2/job-requests/").json()["results"][-1]
        assert (item["created_by"], item["sha"], item["requested_actions"]) == ("alice", "a" * 40, ["run_all"])
        assert item["created_at"] == "2021-05-03T10:00:00.123456Z"
        assert item["workspace"]["repo"] == "https://github.com/opensafely/trends"
        statuses = runner.get("/api/v2/workspaces/my-study/statuses/").json()
        assert statuses == old_rules.action_statuses(ROWS_2021, workspace=2)
        user = runner.get("/api/v2/users/alice/").json()
        assert user["roles"]["global"] == ["CoreDeveloper"]
        assert user["roles"]["orgs"] == [{"slug": "datalab", "roles": ["OrgCoordinator"]}]
        (project,) = user["roles"]["projects"]  # with its organisation, which the old server did not name
        assert project == {"slug": "diabetes", "org": "datalab", "roles": ["ProjectCoordinator", "ProjectDeveloper"]}


def test_every_page_counts_what_the_old_one_counted(site: Site) -> None:
    site.run("import", "old.sqlite3")
    site.env["PUBLIC_READ"] = "true"
    site.start()
    counts = old_rules.counts(ROWS_2021)
    for number, name in {1: "trends", 2: "my-study"}.items():
        page = site.get("/jobs/", params={"workspace": name})
        assert f"{counts[number]} request" in page.text, name


@only_whole
def test_a_killed_import_goes_on(site: Site) -> None:
    """Whenever it is killed, the next one adds the rest."""
    with contextlib.closing(sqlite3.connect(site.folder / "old.sqlite3")) as sql, sql:
        columns = "backend_id, workspace_id, created_by_id, created_at, sha, requested_actions, project_definition"
        sql.execute(
            f"INSERT INTO jobserver_jobrequest (id, identifier, {columns}, cancelled_actions)"
            " WITH RECURSIVE n(i) AS (SELECT 100 UNION ALL SELECT i + 1 FROM n WHERE i < 3000)"
            f" SELECT n.i, 'number ' || n.i, {columns}, '[]' FROM n, jobserver_jobrequest r WHERE r.id = 1"
        )
    for seconds in (0.2, 0.5, 0.9):
        with (site.folder / "killed.log").open("ab") as log:
            process = zygote.start(["import", "old.sqlite3"], site.env, site.folder, log, log)
            time.sleep(seconds)
            process.send_signal(signal.SIGKILL)
            process.wait()
    site.run("import", "old.sqlite3")
    tips = site.git("rev-parse", "main", "backends/tpp")
    site.run("import", "old.sqlite3")
    assert site.git("rev-parse", "main", "backends/tpp") == tips
    files = site.git("ls-tree", "-r", "--name-only", "backends/tpp").split()
    assert len([path for path in files if path.endswith("/request.yaml")]) == 2901 + 9
    rows = site.git("log", "--format=%(trailers:key=Imported-Row,valueonly)", "backends/tpp").split()
    assert len(rows) == len(set(rows)) == 2901 + 9
    assert site.command("audit", "verify", "--fast").returncode == 0
