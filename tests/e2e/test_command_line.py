"""The command line as its users meet it: a process, its exit code, what it prints."""

import json
import stat
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from jobserver import bootstrap
from jobserver.config.settings import Settings
from jobserver.domain.accounts import oidc_id
from jobserver.domain.job_requests.jobs import UpdateJobs
from jobserver.store.keys.signing import SigningKey
from tests.e2e import zygote
from tests.e2e.harness import bare, git
from tests.samples import only_whole
from tests.site import TPP, job

Run = Callable[..., subprocess.CompletedProcess[str]]
SETTINGS = ("SECRET_KEY", "BASE_URL", "STATE_REPO", "ADMIN_USERS")
PROJECT = """\
version: "4.0"
actions:
  generate:
    run: python g.py
  analyse:
    needs: [generate]
    run: python a.py
"""


def make_study(folder: Path) -> None:
    folder.mkdir(parents=True)
    (folder / "project.yaml").write_text(PROJECT)
    identity = ["-c", "user.name=a", "-c", "user.email=a@example.org"]
    for arguments in (["init", "-q", "-b", "main", "."], ["add", "."], [*identity, "commit", "-qm", "study"]):
        subprocess.run(["git", *arguments], cwd=folder, check=True)


@pytest.fixture
def settings(tmp_path: Path) -> dict[str, str]:
    make_study(tmp_path / "studies" / "trends")
    return bare() | {
        "HOME": str(tmp_path),
        "SECRET_KEY": "not-a-secret-but-long",
        "BASE_URL": "http://jobs.example",
        "STATE_REPO": str(tmp_path / "state.git"),
        "STUDY_REPOS": str(tmp_path / "studies"),
        "ADMIN_USERS": "admin, boss",
    }


@pytest.fixture
def run(settings: dict[str, str], tmp_path: Path) -> Run:
    def run(*arguments: str, code: int = 0) -> subprocess.CompletedProcess[str]:
        done = zygote.command(arguments, settings, tmp_path)
        assert done.returncode == code, done.stderr
        assert "Traceback" not in done.stderr
        return done

    return run


def last_line(done: subprocess.CompletedProcess[str]) -> str:
    return done.stdout.splitlines()[-1]


def test_the_commands_of_a_first_day(run: Run, settings: dict[str, str]) -> None:
    run("init")
    token = last_line(run("backend", "add", "tpp", "--database", "full", "--parent-directory", "/srv/high"))
    assert len(token) == 40
    assert json.loads(run("backend", "list", "--json").stdout)[0]["slug"] == "tpp"
    run("user", "add", "alice", "--role", "CoreDeveloper")
    assert last_line(run("user", "token", "alice", "--label", "laptop")) != token
    run("user", "token", "alice", "--label", "reader", "--expires", "90d", "--scope", "read")
    assert "scope: read" in git(Path(settings["STATE_REPO"]), "show", "main:users/alice.yaml")
    for wrong in (("--expires", "soon"), ("--expires", "2020-01-01"), ("--scope", "all")):
        assert run("user", "token", "alice", "--label", "x", *wrong, code=2 if "all" in wrong else 1).stderr
    assert "OIDC_ISSUER: required" in run("user", "add", "dora", "--oidc-subject", "sub-dora", code=1).stderr
    settings |= {"OIDC_ISSUER": "https://login.example", "OIDC_CLIENT_ID": "x", "OIDC_CLIENT_SECRET": "x"}
    run("user", "add", "dora", "--oidc-subject", "sub-dora")
    assert oidc_id("https://login.example", "sub-dora") in git(
        Path(settings["STATE_REPO"]), "show", "main:users/dora.yaml"
    )
    run("org", "add", "datalab")
    run("project", "add", "datalab/diabetes")
    run("project", "member", "datalab/diabetes", "alice", "--role", "ProjectDeveloper")
    run("workspace", "add", "trends", "--repo", "trends", "--branch", "main", "--as", "alice")
    identifier = last_line(run("request", "trends", "run_all", "--backend", "tpp", "--as", "alice"))
    shown = json.loads(run("status", identifier, "--json").stdout)
    assert (shown["status"], shown["requested_actions"]) == ("unknown", ["run_all"])
    assert identifier in run("status").stdout
    run("cancel", identifier, "--as", "alice")
    cancelled = json.loads(run("status", identifier, "--json").stdout)
    assert (cancelled["cancelled_actions"], cancelled["cancelled_by"]) == (["generate", "analyse"], ["alice"])
    run("backend", "rotate-token", "tpp", "--keep-old")
    run("backend", "revoke-token", "tpp")
    run("user", "revoke-token", "alice", "laptop")
    run("user", "disable", "alice")
    assert "not an active user" in run("cancel", identifier, "--as", "alice", code=1).stderr
    run("check")
    run("check", "--branch", "backends/tpp")
    fsck = subprocess.run(
        ["git", "-C", settings["STATE_REPO"], "fsck", "--full", "--strict"], capture_output=True, text=True, check=True
    )
    assert fsck.stdout == ""
    assert (
        token
        not in subprocess.run(
            ["git", "-C", settings["STATE_REPO"], "log", "-p", "--all"], capture_output=True, text=True, check=True
        ).stdout
    )


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["backend", "add", "No Slug"], 1, "slug"),
        (["backend", "rotate-token", "none"], 1, "backend 'none' does not exist"),
        (["user", "add", "x", "--role", "Boss"], 2, "Invalid value for '--role'"),
        (["workspace", "add", "w", "--repo", "../../etc", "--branch", "main"], 1, "study on the server"),
        (["workspace", "add", "jobs", "--repo", "trends", "--branch", "main"], 1, "choose another name"),
        (["request", "none", "a", "--backend", "tpp"], 1, "workspace 'none' does not exist"),
        (["cancel", "nonsense"], 1, "job request 'nonsense' does not exist"),
        (["status", "2222222222222222"], 1, "does not exist"),
        (["check", "none"], 1, "expected a branch, a tag or a commit"),
        (["nothing"], 2, "No such command"),
    ],
)
def test_refusals_are_one_clear_line(run: Run, arguments: list[str], code: int, said: str) -> None:
    run("init")
    assert said in run(*arguments, code=code).stderr


def test_no_umask_lets_others_write_the_record(settings: dict[str, str], tmp_path: Path) -> None:
    for arguments in (["init"], ["user", "add", "alice"], ["maintain"]):
        command = [f"{zygote.programs()}/jobserver", *arguments]
        subprocess.run(command, env=settings, cwd=tmp_path, umask=0, capture_output=True, check=True)
    paths = [tmp_path / "state.git", *(tmp_path / "state.git").rglob("*")]
    assert [path for path in paths if path.stat().st_mode & stat.S_IWOTH] == []


def test_a_proxy_that_email_can_not_go_by_is_refused_and_no_bug(run: Run, settings: dict[str, str]) -> None:
    settings |= {"EMAIL_BACKEND": "mailgun", "MAILGUN_API_KEY": "x", "HTTPS_PROXY": "socks4://proxy.example"}
    assert "HTTPS_PROXY: expected the URL of a proxy" in run("sendtestemail", "a@example.org", code=1).stderr


def test_init_refuses_a_folder_that_holds_something_else(run: Run, settings: dict[str, str]) -> None:
    folder = Path(settings["STATE_REPO"])
    folder.mkdir()
    (folder / "thesis.txt").write_text("mine")
    assert "contains something else" in run("init", code=1).stderr
    assert [path.name for path in folder.iterdir()] == ["thesis.txt"]


@pytest.mark.parametrize(
    ("setting", "value", "message"),
    [
        ("HTTPS_PROXY", "socks4://proxy.example", "HTTPS_PROXY: expected the URL of a proxy"),
        ("SENTRY_DSN", "nonsense", "SENTRY_DSN: "),
        ("RELEASE_STORAGE", "{STATE_REPO}/releases", "RELEASE_STORAGE: expected a folder outside STATE_REPO"),
        ("PRIVATE_STORE", "/proc/private", "/proc/private: PRIVATE_STORE can't be used"),
        ("PORT", "none", "PORT: "),
        ("SSL_CERT_FILE", "/missing.pem", "SSL_CERT_FILE: expected a readable file of certificates"),
    ],
)
def test_init_and_serve_judge_settings_alike(
    run: Run, settings: dict[str, str], setting: str, value: str, message: str
) -> None:
    """A release phase that runs `init` finds what would stop the server."""
    run("init")
    settings[setting] = value.format(**settings)
    for command in ("init", "serve"):
        assert message in run(command, code=1).stderr


def test_init_again_changes_nothing(run: Run, settings: dict[str, str]) -> None:
    run("init")
    tip = (Path(settings["STATE_REPO"]) / "refs/heads/main").read_text()
    assert run("init").stdout.startswith(f"{settings['STATE_REPO']} is ready")
    assert (Path(settings["STATE_REPO"]) / "refs/heads/main").read_text() == tip


def test_audit_names_a_commit_or_keys_that_can_not_be_read(run: Run, tmp_path: Path) -> None:
    run("init")
    (tmp_path / "keys").write_bytes(b"\xff")
    for arguments, said in (
        (["--since", "nosuch"], "jobserver: --since: expected a commit of this repository, found 'nosuch'\n"),
        (["--signers", "keys"], "jobserver: --signers: keys can't be read"),
    ):
        assert said in run("audit", "verify", *arguments, code=1).stderr


def test_a_missing_setting_is_named(run: Run, settings: dict[str, str]) -> None:
    del settings["SECRET_KEY"]
    settings["ADMIN_USERS"] = " , "
    stderr = run("init", code=1).stderr
    assert "SECRET_KEY: required but not set" in stderr
    assert "ADMIN_USERS: expected usernames" in stderr


def test_keys_are_rotated_and_revoked_by_superusers_only(run: Run, settings: dict[str, str]) -> None:
    run("init")
    first = SigningKey.load(Path(settings["STATE_REPO"] + ".key"), "jobserver").fingerprint
    run("user", "add", "alice")
    assert "alice cannot change the server's keys" in run("key", "rotate", "--as", "alice", code=1).stderr
    second = last_line(run("key", "rotate", "--as", "boss"))
    assert "already ended" in run("key", "revoke", first, "--at", "2999-01-01", code=1).stderr
    third = run("key", "revoke", second, "--as", "boss")
    assert "counts until" in third.stderr
    assert "found 2999-01-01" in run("key", "revoke", last_line(third), "--at", "2999-01-01", code=1).stderr
    run("key", "revoke", last_line(third), "--at", "0001-01-01T00:00+10:00", code=2)
    said = [json.loads(line) for line in run("audit", "log", "--actor", "boss", "--json").stdout.splitlines()]
    assert [(one["subject"], one["event"]) for one in said] == [
        (f"boss revoked {second}", "key.revoked"),
        (f"boss retired {first}", "keys.rotated"),
    ]
    run("audit", "verify")
    listed = run("key", "list").stdout.splitlines()
    assert [line.split()[0] for line in listed] == [first, second, last_line(third)]
    assert [" to " in line for line in listed] == [True, True, False]
    rows = [
        json.loads(line) for line in run("key", "list", "--json", "--repo", settings["STATE_REPO"]).stdout.splitlines()
    ]
    assert rows[0] == {"fingerprint": first, "after": None, "before": rows[1]["after"]}
    assert rows[2]["before"] is None
    key = Path(settings["STATE_REPO"] + ".key")
    key.unlink()
    assert "SIGNING_KEY: " in run("init", code=1).stderr
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key], check=True)
    for command in (["status"], ["init"], ["serve"]):
        assert "which is not a key of this repository" in run(*command, code=1).stderr
    run("key", "revoke", last_line(third))
    run("user", "add", "bob")
    assert "which is not a key of the server" in run("audit", "verify", code=1).stderr  # so could a thief's be
    assert "pass them with --signers" in run("key", "export", code=1).stderr
    kept = Path(settings["STATE_REPO"] + ".signers")
    kept.write_text(run("key", "export", "--signers", f"{key}.signers").stdout)
    run("audit", "verify", "--signers", str(kept))
    fifth = last_line(run("key", "rotate", "--as", "boss"))
    assert f"also trusting {fifth}" in run("audit", "verify", "--signers", str(kept)).stderr
    run("init")  # a start knows it, too


def test_an_admin_who_was_disabled_stays_so(run: Run) -> None:
    run("init")
    run("user", "token", "boss")
    run("user", "disable", "boss")
    assert "so a token would not work" in run("user", "token", "boss", "--label", "new", code=1).stderr
    for _ in range(2):
        said = run("init").stderr
        assert (
            said
            == "ADMIN_USERS: boss is disabled and stays disabled. A SuperUser can enable them at http://jobs.example/users/boss/\n"
        )
    assert "boss is not an active user" in run("org", "add", "lab", "--as", "boss", code=1).stderr


def listed(run: Run, *command: str) -> list[dict[str, Any]]:
    """The rows of a list as JSON; a script that reads the text gets a line for each, with tabs between."""
    rows: list[dict[str, Any]] = json.loads(run(*command, "--json").stdout)
    lines = run(*command).stdout.splitlines()
    assert [line.split("\t")[0] for line in lines] == [next(iter(row.values())) for row in rows]
    return rows


@only_whole
def test_an_operator_lists_and_changes_people_and_their_work(run: Run, settings: dict[str, str]) -> None:
    run("init")
    run("backend", "add", "tpp", "--database", "full")
    run("user", "add", "alice", "--name", "Alice Ng", "--github-id", "7")
    run("user", "add", "bob")
    run("user", "role", "alice", "--role", "CoreDeveloper", "--role", "Auditor")
    run("user", "token", "alice", "--label", "laptop")
    run("org", "add", "lab", "--name", "The lab")
    run("project", "add", "lab/p")
    run("project", "member", "lab/p", "alice", "--role", "ProjectDeveloper")
    run("workspace", "add", "trends", "--repo", "trends", "--branch", "main", "--project", "lab/p", "--as", "alice")
    run("workspace", "add", "other", "--repo", "trends", "--branch", "main", "--as", "alice")

    assert [user["username"] for user in listed(run, "user", "list")] == ["admin", "alice", "bob", "boss"]
    alice = json.loads(run("user", "show", "alice", "--json").stdout)
    assert (alice["roles"], alice["projects"]) == (["CoreDeveloper", "Auditor"], {"lab/p": ["ProjectDeveloper"]})
    assert [list(token) for token in alice["tokens"]] == [
        ["label", "created_at", "expires_at", "scope"]
    ]  # and no digest
    text = run("user", "show", "alice").stdout
    assert text.startswith(
        "alice\tactive\tCoreDeveloper, Auditor\tAlice Ng\ngithub\t7\nproject\tlab/p\tProjectDeveloper\n"
    )
    assert listed(run, "org", "list") == [{"slug": "lab", "members": [], "name": "The lab"}]
    assert listed(run, "project", "list") == [{"project": "lab/p", "members": ["alice"], "name": "p"}]
    assert [row["name"] for row in listed(run, "workspace", "list")] == ["other", "trends"]
    assert [row["name"] for row in listed(run, "workspace", "list", "--project", "lab/p")] == ["trends"]

    assert "Missing branch: 'dev'" in run("workspace", "edit", "trends", "--branch", "dev", "--notify", code=1).stderr
    git(Path(settings["STUDY_REPOS"]) / "trends", "branch", "dev")
    run("workspace", "edit", "trends", "--branch", "dev", "--notify")
    run("workspace", "archive", "trends")
    row = listed(run, "workspace", "list")[1]
    assert (row["branch"], row["archived"]) == ("dev", True)
    run("workspace", "edit", "trends", "--branch", "main", "--no-notify")
    assert "archived" in run("request", "trends", "run_all", "--backend", "tpp", "--as", "alice", code=1).stderr
    run("workspace", "unarchive", "trends")
    run("workspace", "edit", "trends", "--db", "slice", "--as", "alice")  # it is hers
    for option, value in (("--repo", "../../etc"), ("--branch", "dev")):
        refused = run("workspace", "edit", "trends", option, value, "--as", "bob", code=1).stderr
        assert f"bob cannot change the {option[2:]} of workspace trends" in refused
    assert "name what to change" in run("workspace", "edit", "trends", code=2).stderr
    assert "expected lowercase letters" in run("workspace", "edit", "trends", "--db", "No Name", code=1).stderr
    run("user", "disable", "alice")
    run("user", "role", "alice")
    alice = json.loads(run("user", "show", "alice", "--json").stdout)
    assert (alice["roles"], alice["active"]) == ([], False)

    assert "RELEASE_STORAGE: is not set" in run("release", "list", code=1).stderr
    settings["RELEASE_STORAGE"] = str(Path(settings["STATE_REPO"]).with_name("releases"))
    assert listed(run, "release", "list") == listed(run, "release", "list", "trends") == []
    for command in (["release", "list"], ["user", "show"], ["workspace", "list", "--project"]):
        assert "does not exist" in run(*command, "none", code=1).stderr


def test_check_names_file_line_and_key(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "users" / "alice.yaml"
    path.parent.mkdir()
    path.write_text("version: 1\nusername: bob\nactive: maybe\n")
    done = run("check", "users/alice.yaml", code=1)
    assert done.stderr.startswith("users/alice.yaml:3: active: expected true or false, found 'maybe'")
    path.write_text("version: 1\nusername: bob\n")
    assert "username: is 'bob', but the path says 'alice'" in run("check", "users/alice.yaml", code=1).stderr


def test_status_shows_a_runner_s_message_without_its_escapes(run: Run, settings: dict[str, str]) -> None:
    run("init")
    run("backend", "add", "tpp", "--database", "full")
    run("user", "add", "alice", "--role", "CoreDeveloper")
    run("workspace", "add", "trends", "--repo", "trends", "--branch", "main", "--as", "alice")
    identifier = last_line(run("request", "trends", "run_all", "--backend", "tpp", "--as", "alice"))
    app = bootstrap.connect(Settings.from_env(_env_file=None, **{key.lower(): settings[key] for key in SETTINGS}))
    try:
        report = UpdateJobs("tpp", ((identifier, job("j1", "failed", 1, message="\x1b]0;owned\x07\x1b[2Jgone")),))
        app.gate.submit(TPP, report, "test")
    finally:
        app.close()
    shown = run("status", identifier).stdout
    assert "\\x1b]0;owned" in shown
    assert "\x1b" not in shown
