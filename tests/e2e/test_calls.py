"""The commands that call a server by HTTP, as a researcher's script does on another machine."""

import csv
import io
import json
import subprocess
import threading
from collections.abc import Callable

import pytest

from tests.e2e import zygote
from tests.e2e.harness import Client, Site, bare, job, until

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def run(site: Site) -> Run:
    """A command as alice, without the server's settings."""

    def run(*arguments: str, code: int = 0, **env: str) -> subprocess.CompletedProcess[str]:
        known = {"JOBSERVER_URL": site.url, "JOBSERVER_TOKEN": site.tokens["alice"]}
        done = zygote.command(arguments, bare(**{**known, **env}), site.folder)
        assert done.returncode == code, (done.returncode, done.stdout, done.stderr)
        assert "Traceback" not in done.stderr
        return done

    return run


def watching(site: Site, identifier: str, answers: int) -> None:
    """Waits until `watch` has had so many answers about the request, and waits for the next one."""
    until(lambda: site.log().count(f"GET /api/v2/job-requests/{identifier}/ 200") >= answers)
    until(lambda: "jobserver_held_polls 1.0" in site.get("/metrics").text)


def test_watch_follows_a_request_to_its_end(site: Site, tpp: Client, run: Run) -> None:
    identifier = site.ask("analyse")
    done: list[subprocess.CompletedProcess[str]] = []
    thread = threading.Thread(target=lambda: done.append(run("watch", identifier)))
    thread.start()
    watching(site, identifier, 1)
    tpp.report(job(identifier, "a", at=1))
    watching(site, identifier, 2)
    tpp.report(job(identifier, "a", "succeeded", at=2), job(identifier, "b", "succeeded", at=3, action="analyse"))
    thread.join()
    lines = done[0].stdout.splitlines()
    assert lines[0] == f"{identifier}: analyse on plain on tpp, by alice"
    assert [line[10:] for line in lines if line[10:].startswith(("running", "succeeded"))] == [
        "running    generate",
        "succeeded  generate",
        "succeeded  analyse",
    ]
    assert lines[-1] == "succeeded: 2 of 2 jobs succeeded"


@pytest.mark.parametrize(
    ("status", "status_code", "code", "end"),
    [
        ("succeeded", "", 0, "succeeded: 1 of 1 jobs succeeded"),
        ("failed", "nonzero_exit", 1, "failed: 0 of 1 jobs succeeded"),
        ("failed", "cancelled_by_user", 4, "cancelled by alice: 0 of 1 jobs succeeded"),
    ],
)
def test_the_exit_code_of_watch_tells_how_it_ended(
    site: Site, tpp: Client, alice: Client, run: Run, status: str, status_code: str, code: int, end: str
) -> None:
    identifier = site.ask("generate")
    if code == 4:
        alice.post(f"/api/v2/job-requests/{identifier}/cancel/")
    tpp.report(job(identifier, f"{identifier}a", status, at=1, status_code=status_code))
    assert run("watch", identifier, code=code).stdout.splitlines()[-1] == end
    assert run("watch", identifier, "--quiet", code=code).stdout.splitlines() == [end]
    assert json.loads(run("watch", identifier, "--json", code=code).stdout)["identifier"] == identifier


@pytest.mark.parametrize(
    ("arguments", "env", "code", "message"),
    [
        (["watch", "2222222222222222"], {}, 5, "Job request 2222222222222222 does not exist"),
        (["watch", "x"], {"JOBSERVER_TOKEN": "nonsense"}, 5, "Invalid token"),
        (["watch", "x"], {"JOBSERVER_TOKEN": ""}, 5, "JOBSERVER_TOKEN: required but not set"),
        (["watch", "x"], {"JOBSERVER_URL": "http://127.0.0.1:1"}, 5, "http://127.0.0.1:1 does not answer"),
        (["watch"], {}, 2, "Missing argument 'ID'"),
        (["log", "colour:red"], {}, 1, "'colour' is not a filter; the filters are status, by,"),
        (["log", "status:lost"], {}, 1, "status 'lost' does not exist"),
        (["log"], {"JOBSERVER_URL": "ftp://x"}, 1, "JOBSERVER_URL: expected a URL such as https://"),
        (["log", "--limit", "0"], {}, 2, "--limit"),
    ],
)
def test_a_refusal_is_one_clear_line(
    run: Run, arguments: list[str], env: dict[str, str], code: int, message: str
) -> None:
    done = run(*arguments, code=code, **env)
    assert message in done.stderr
    assert done.stdout == ""


def test_log_lists_requests_and_jobs_of_all_times(site: Site, tpp: Client, run: Run) -> None:
    identifier = site.ask("generate", workspace="grouped")
    tpp.report(job(identifier, f"{identifier}a", "failed", at=1, status_code="nonzero_exit"))
    for _ in range(3):
        site.ask("generate", backend="emis")
    row = json.loads(run("log", "workspace:grouped", "status:failed", "--json").stdout)[0]
    assert (row["identifier"], row["outcome"], row["succeeded"], row["jobs"]) == (identifier, "failed", 0, 1)
    assert len(json.loads(run("log", "backend:emis", "--limit", "2", "--json").stdout)) == 2
    rows = list(csv.DictReader(io.StringIO(run("log", "workspace:grouped", "--csv").stdout)))
    assert (rows[0]["identifier"], rows[0]["requested_actions"]) == (identifier, "generate")
    jobs = list(csv.DictReader(io.StringIO(run("log", "workspace:grouped", "--jobs", "--csv").stdout)))
    assert (jobs[0]["job_request"], jobs[0]["status_code"]) == (identifier, "nonzero_exit")
    assert run("log", "workspace:grouped").stdout.split("\t")[0] == identifier
    assert run("log", "workspace:slashed").stdout == run("log", "workspace:slashed", "--csv").stdout == ""


def test_a_researcher_runs_jobs_from_another_machine(site: Site, tpp: Client, run: Run) -> None:
    identifier = run("request", "plain", "analyse", "--backend", "tpp").stdout.strip()
    assert run("status").stdout.startswith(identifier)
    tpp.report(job(identifier, f"{identifier}a", "failed", at=1, status_code="nonzero_exit"))
    shown = json.loads(run("status", identifier, "--json").stdout)
    assert (shown["outcome"], shown["workspace"], shown["jobs"][0]["status_code"]) == (
        "failed",
        "plain",
        "nonzero_exit",
    )
    assert "failed     generate" in run("status", identifier).stdout
    again = run("rerun", identifier, "--failed").stdout.strip()
    assert json.loads(run("status", again, "--json").stdout)["rerun_of"] == identifier
    run("cancel", again)
    assert json.loads(run("status", again, "--json").stdout)["cancelled_actions"] == ["generate"]
    noted = run(
        "request", "plain", "analyse", "--backend", "tpp", "--note", "Again", "--database", "full"
    ).stdout.strip()
    assert json.loads(run("status", noted, "--json").stdout)["note"] == "Again"
    refused = run("request", "plain", "nothing", "--backend", "tpp", code=1).stderr
    assert "requested_actions" in refused
    assert "--as: can't be used with JOBSERVER_URL" in run("cancel", again, "--as", "bob", code=1).stderr


def test_lists_are_the_same_on_both_machines(site: Site, run: Run) -> None:
    root = {"JOBSERVER_TOKEN": site.tokens["root"]}
    for command in ("workspace", "project", "org", "user", "backend"):
        here = run(command, "list", "--json", **root).stdout
        assert json.loads(here) == json.loads(site.command(command, "list", "--json").stdout), command
        assert json.loads(here), command
    assert (
        run("workspace", "list", "--project", "datalab/trends", "--csv").stdout.splitlines()[1].startswith("grouped,")
    )
    shown = json.loads(run("project", "show", "datalab/trends", "--json").stdout)
    assert shown["workspaces"] == ["grouped"]
    assert "Only people who manage accounts" in run("user", "list", code=1).stderr


def test_changes_go_to_the_server(site: Site, tpp: Client, run: Run) -> None:
    root = {"JOBSERVER_TOKEN": site.tokens["root"]}
    run("workspace", "add", "mine", "--repo", "study", "--branch", "main")
    run("workspace", "edit", "mine", "--db", "slice", "--notify")
    run("workspace", "archive", "mine")
    row = next(row for row in json.loads(run("workspace", "list", "--json").stdout) if row["name"] == "mine")
    assert (row["db"], row["archived"], row["created_by"]) == ("slice", True, "alice")
    assert "Missing branch: 'nowhere'" in run("workspace", "edit", "mine", "--branch", "nowhere", code=1).stderr
    run("workspace", "connect", "mine", "datalab/trends")
    run("workspace", "disconnect", "mine")
    run("org", "add", "fresh", "--name", "Fresh", **root)
    run("project", "add", "fresh/start", **root)
    run("project", "rename", "fresh/start", "Begin", **root)
    run("project", "member", "fresh/start", "bob", "--role", "ProjectDeveloper", **root)
    run("project", "member", "fresh/start", "bob", **root)
    run("project", "invite", "fresh/start", "bob", "carol", "--role", "ProjectDeveloper", **root)
    run("project", "cancel-invitation", "fresh/start", "carol", **root)
    run("project", "accept", "fresh/start", JOBSERVER_TOKEN=site.tokens["bob"])
    shown = json.loads(run("project", "show", "fresh/start", "--json", **root).stdout)
    assert (shown["name"], shown["members"], shown["invitations"]) == (
        "Begin",
        [{"username": "bob", "roles": ["ProjectDeveloper"]}],
        [],
    )
    assert run("release", "list").stdout == ""
    run("user", "email", "alice", "alice@example.org")
    assert "nobody else's" in run("user", "email", "bob", "bob@example.org", code=1).stderr
    for command in ("disable", "enable"):
        run("user", command, "carol", **root)
    run("user", "role", "carol", "--role", "OutputChecker", **root)
    for command in ("pause", "resume", "deactivate", "activate", "revoke-token"):
        run("backend", command, "emis", **root)
    run("message", "set", "Hello", "--level", "warning", **root)
    assert run("message", "show").stdout == "warning: Hello\n"
    run("message", "remove", **root)
    assert run("message", "show").stdout == ""
    identifier = run("request", "plain", "generate", "--backend", "tpp").stdout.strip()
    tpp.report(job(identifier, f"{identifier}a"))
    assert "cannot update" in run("mark-failed", identifier, f"{identifier}a", code=1).stderr
    run("mark-failed", identifier, f"{identifier}a", **root)
    assert json.loads(run("status", identifier, "--json").stdout)["jobs"][0]["status"] == "failed"
    assert "works on the server's machine only" in run("backend", "add", "new", code=1, **root).stderr
    assert "cannot update" in run("backend", "pause", "emis", code=1).stderr


def test_a_preview_and_what_people_keep_for_themselves(site: Site, run: Run) -> None:
    before = site.count("backends/emis")
    shown = run("request", "plain", "report", "--backend", "emis", "--preview").stdout.splitlines()
    assert shown == ["report\tchosen", "generate\tneeded", "analyse\tneeded"]
    assert site.count("backends/emis") == before
    refused = run("request", "plain", "nothing", "--backend", "emis", "--preview", code=1).stderr
    assert "not in project.yaml: nothing" in refused
    run("view", "save", "Mine", "status:failed", "by:me")
    run("view", "save", "Other", "backend:tpp")
    run("view", "delete", "Other")
    assert run("view", "list").stdout == "Mine\tstatus:failed by:me\n"
    assert "you have no saved view 'Other'" in run("view", "delete", "Other", code=1).stderr
    assert "'colour' is not a filter" in run("view", "save", "Mine", "colour:red", code=1).stderr
    run("workspace", "pin", "plain")
    run("workspace", "pin", "grouped")
    run("workspace", "unpin", "plain")
    assert "Workspace nowhere does not exist" in run("workspace", "pin", "nowhere", code=1).stderr
    run("follow", "grouped")
    identifier = site.ask("generate")
    run("follow", identifier)
    run("unfollow", "grouped")
    with site.client("alice") as alice:
        own = alice.get("/api/v2/settings/").json()
    assert (own["pinned"], own["views"]) == (["grouped"], {"Mine": "status:failed by:me"})
    assert own["following"] == [f"request/{identifier}"]


def test_people_and_webhooks_from_another_machine(site: Site, run: Run) -> None:
    root = {"JOBSERVER_TOKEN": site.tokens["root"]}
    run("user", "add", "newt", "--name", "Newt", "--role", "Auditor", "--github-id", "77", **root)
    assert run("user", "show", "newt").stdout == "newt\tactive\tAuditor\tNewt\n"
    member = json.loads(run("user", "show", "bob", "--json").stdout)["projects"]
    assert member["datalab/trends"] == ["ProjectDeveloper"]
    assert json.loads(site.command("user", "show", "newt", "--json").stdout)["github_id"] == 77
    assert "on the server's machine" in run("user", "add", "x", "--email", "x@y.org", code=1, **root).stderr
    url = "https://1.1.1.1/jobs"  # never called: no request of the workspace ends
    assert "only administrators" in run("webhook", "add", url, "--workspace", "slashed", code=1).stderr.lower()
    added = run("webhook", "add", url, "--workspace", "slashed", "--event", "job-request.failed", **root)
    assert added.stdout.startswith("whsec_")
    (shown,) = json.loads(run("webhook", "list", "--workspace", "slashed", "--json", **root).stdout)
    assert (shown["url"], shown["events"], shown["scope"]) == (url, ["job-request.failed"], "workspace/slashed")
    again = run("webhook", "add", url, "--workspace", "slashed", "--event", "job-request.failed", code=1, **root)
    assert "slashed has a webhook with this URL" in again.stderr
    run("webhook", "remove", str(shown["number"]), "--workspace", "slashed", **root)
    assert run("webhook", "list", "--workspace", "slashed", "--json", **root).stdout == "[]\n"
    assert "does not exist in slashed" in run("webhook", "remove", "9", "--workspace", "slashed", code=1, **root).stderr
    for arguments in (("list",), ("remove", "1"), ("add", url, "--all"), ("test", "1")):
        assert "JOBSERVER_URL" in run("webhook", *arguments, code=1, **root).stderr
