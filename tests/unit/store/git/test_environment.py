"""git gets an environment of its own: what surrounds us changes how others are reached, and nothing else."""

import ast
import os
import subprocess
import threading
from pathlib import Path

import pytest

from jobserver.runner.study import StudyCheckouts
from jobserver.store.git.command import environment, environment_of_user, environment_to_others, git, run

PACKAGE = Path(__file__).parents[4] / "jobserver"
STARTING = ("subprocess.", "os.system", "os.popen", "os.exec", "os.spawn", "os.posix_spawn")
STARTERS = {
    "store/git/command.py": "git",
    "runner/process.py": "a study's commands, and git as store/git/command.py says",
    "cli/demo/processes.py": "our own commands",
    "cli/hook.py": "our own command",
    "web/git/active_pack.py": "git log, then git pack-objects: a hook, in the environment that we gave git",
}
SURROUNDINGS = {
    "GIT_DIR": "/elsewhere",
    "GIT_WORK_TREE": "/elsewhere",
    "GIT_INDEX_FILE": "/elsewhere",
    "GIT_OBJECT_DIRECTORY": "/elsewhere",
    "GIT_ALTERNATE_OBJECT_DIRECTORIES": "/elsewhere",
    "GIT_COMMON_DIR": "/elsewhere",
    "GIT_NAMESPACE": "elsewhere",
    "GIT_DEFAULT_HASH": "sha256",
    "GIT_DEFAULT_REF_FORMAT": "reftable",
    "GIT_TEMPLATE_DIR": "/elsewhere",
    "GIT_REPLACE_REF_BASE": "refs/elsewhere/",
    "GIT_LITERAL_PATHSPECS": "1",
    "GIT_TRACE": "1",
    "GIT_CONFIG_COUNT": "1",
    "GIT_CONFIG_KEY_0": "core.bare",
    "GIT_CONFIG_VALUE_0": "false",
    "GIT_CONFIG_PARAMETERS": "'core.bare'='false'",
    "GIT_CEILING_DIRECTORIES": "/",
    "LANG": "de_DE.UTF-8",
    "LANGUAGE": "de",
}
OPERATORS = """\
[core]
	autocrlf = true
	eol = crlf
	hooksPath = {hooks}
	attributesFile = {attributes}
	excludesFile = {attributes}
	fsmonitor = false
[init]
	defaultBranch = trunk
	defaultObjectFormat = sha256
	templateDir = {hooks}
[safe]
	bareRepository = explicit
[commit]
	gpgSign = true
[log]
	showSignature = true
[transfer]
	hideRefs = refs/
[credential]
	helper = store
[http]
	sslVerify = false
[url "https://mirror.example.org/"]
	insteadOf = https://github.com/
"""


@pytest.fixture
def surrounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Everything around us is set to something else. Returns a folder that nothing may come to."""
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    for name, value in SURROUNDINGS.items():
        monkeypatch.setenv(name, value.replace("/elsewhere", str(elsewhere)))
    home = tmp_path / "home"
    home.mkdir()
    attributes = home / "attributes"
    attributes.write_text("* text eol=crlf\n*.py\n")
    (home / ".gitconfig").write_text(OPERATORS.format(hooks=elsewhere, attributes=attributes))
    (home / ".config/git").mkdir(parents=True)
    (home / ".config/git/attributes").write_text("* text eol=crlf\n")
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    monkeypatch.setenv("GIT_CONFIG_SYSTEM", "/dev/null")
    return elsewhere


def test_one_module_starts_git_and_nothing_else_starts_processes_unseen() -> None:
    found = set()
    for path in PACKAGE.rglob("*.py"):
        text = path.read_text()
        for node in ast.walk(ast.parse(text)) if any(name in text for name in STARTING) else ():
            if isinstance(node, ast.Call) and ast.unparse(node.func).startswith(STARTING):
                found.add(path.relative_to(PACKAGE).as_posix())
    assert found == STARTERS.keys()


def test_a_repository_is_made_where_it_is_said_whatever_surrounds_us(surrounded: Path, tmp_path: Path) -> None:
    made = tmp_path / "made.git"
    made.mkdir()
    git(made, "init", "--quiet", "--bare", "--initial-branch=main", ".")
    assert (made / "HEAD").read_text() == "ref: refs/heads/main\n"
    assert git(made, "rev-parse", "--show-object-format").strip() == "sha1"
    assert git(made, "config", "--list", "--show-scope").count("command") == 0
    assert not list(surrounded.iterdir())


def test_replaced_objects_and_grafts_are_not_looked_at(tmp_path: Path) -> None:
    folder = tmp_path / "study"
    folder.mkdir()
    git(folder, "init", "--quiet", "--initial-branch=main")
    who = ("-c", "user.name=x", "-c", "user.email=x@example.org")
    for text in ("one", "two"):
        (folder / "file").write_text(text)
        git(folder, "add", "file")
        git(folder, *who, "commit", "--quiet", "--message", text)
    first, second = git(folder, "rev-list", "--reverse", "HEAD").split()
    subprocess.run(["git", "-C", folder, "replace", second, first], check=True)
    (folder / ".git/info").mkdir(exist_ok=True)
    (folder / ".git/info/grafts").write_text(f"{second}\n")
    assert git(folder, "log", "--format=%s") == "two\none\n"


def test_a_studys_files_are_those_of_its_commit_whatever_the_operator_set(surrounded: Path, tmp_path: Path) -> None:
    study = tmp_path / "studies" / "study"
    study.mkdir(parents=True)
    git(study, "init", "--quiet", "--initial-branch=main")
    (study / "model.py").write_bytes(b"print(1)\nprint(2)\n")
    git(study, "add", "model.py")
    git(study, "-c", "user.name=x", "-c", "user.email=x@example.org", "commit", "--quiet", "--message=one")
    sha = git(study, "rev-parse", "HEAD").strip()
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    target = tmp_path / "out" / "code"
    StudyCheckouts(study.parent, scratch).checkout("study", "main", sha, target, threading.Event())
    assert (target / "model.py").read_bytes() == b"print(1)\nprint(2)\n"


def test_how_others_are_reached_is_the_operators_to_say_and_nothing_else(
    surrounded: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("https_proxy", "http://proxy.example:3128")
    monkeypatch.delenv("GIT_SSL_CAINFO", raising=False)
    monkeypatch.setenv("SSL_CERT_FILE", "/etc/ours.pem")
    given = environment_to_others([("http.postBuffer", "1")])
    assert given["https_proxy"] == "http://proxy.example:3128"
    assert given["GIT_SSL_CAINFO"] == "/etc/ours.pem"
    keys = [given[f"GIT_CONFIG_KEY_{at}"] for at in range(int(given["GIT_CONFIG_COUNT"]))]
    assert keys == [
        "core.sshCommand",
        "credential.helper",
        "http.sslverify",
        "url.https://mirror.example.org/.insteadof",
        "http.postBuffer",
    ]
    inside = environment()
    assert inside["GIT_CONFIG_COUNT"] == "0"
    assert "https_proxy" not in inside
    assert not {name for name in SURROUNDINGS if inside.get(name) == os.environ.get(name)}


def test_a_working_copy_has_its_users_settings_and_is_the_one_that_was_named(surrounded: Path, tmp_path: Path) -> None:
    folder = tmp_path / "clone"
    folder.mkdir()
    git(folder, "init", "--quiet")
    top = git(folder, "rev-parse", "--show-toplevel", variables=environment_of_user())
    assert Path(top.strip()) == folder.resolve()
    assert git(folder, "config", "core.autocrlf", variables=environment_of_user()) == "true\n"


def test_a_repository_of_another_user_can_be_read(tmp_path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can give a folder to somebody else")
    folder = tmp_path / "theirs.git"
    folder.mkdir()
    git(folder, "init", "--quiet", "--bare", ".")
    os.chown(folder, 12345, 12345)
    assert run(["rev-parse", "--git-dir"], repository=folder).returncode == 0
