"""Starts the system's git: the one place that does.

git gets an environment of its own. Variables and personal settings that change how git works (another repository,
another format, line ends, replaced objects, hooks; see git(1) and git-config(1)) must not change what we record or run.
Settings for reaching other machines count, but only when git reaches one. In a working copy, all settings of its user
count.
"""

import os
import re
import shutil
import subprocess
from collections.abc import Iterable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from jobserver import steps
from jobserver.errors import unavailable
from jobserver.store import proxies

_NICE = "5"  # about a third of the processor time of others; with less, maintenance would not keep up with writes
OLDEST_GIT = (2, 34)  # the first one with SSH signatures that we rely on; it also joins packs by `--stdin-packs`

# Where to find programs, the user's keys and temporary files.
_KEPT = ("PATH", "HOME", "TMPDIR", "LD_LIBRARY_PATH", "GIT_EXEC_PATH")
_TO_OTHERS = (
    *("SSH_AUTH_SOCK", "GIT_SSH", "GIT_SSH_COMMAND", "GIT_SSH_VARIANT", "GIT_PROXY_COMMAND"),
    *("GIT_SSL_CAINFO", "GIT_SSL_CAPATH", "GIT_SSL_CERT", "GIT_SSL_KEY", "GIT_SSL_NO_VERIFY"),
)
_SETTINGS_TO_OTHERS = re.compile(r"(?:credential|http|url|ssh)\.|core\.(?:sshcommand|gitproxy)$")
_OF_A_REPOSITORY = ("local", "worktree")
_OWN = {
    "LC_ALL": "C",  # we read git's messages
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_GLOBAL": str(Path(__file__).with_name("gitconfig")),
    "GIT_ATTR_NOSYSTEM": "1",
    "GIT_DEFAULT_HASH": "sha1",
    "GIT_DEFAULT_REF_FORMAT": "files",
    "GIT_NO_REPLACE_OBJECTS": "1",
    "GIT_GRAFT_FILE": f"{os.devnull}/none",  # git warns about any graft file that it can read
}
_SSH = ("core.sshCommand", "ssh -oBatchMode=yes -oConnectTimeout=10")
_NOBODY_IS_ASKED = {"GIT_TERMINAL_PROMPT": "0", "GIT_ASKPASS": "", "SSH_ASKPASS": ""}


def program() -> str:
    """The path of the system's git. Raises `Error` (unavailable) if there is none."""
    path = shutil.which("git")
    if path is None:
        raise unavailable("git is missing: install git 2.34 or later")
    return path


def environment(config: Iterable[tuple[str, str]] = (), **more: str) -> dict[str, str]:
    """The environment for git in a repository on this machine. ``config``: settings that override its own."""
    return _with(config, {**_taken(_KEPT), **_OWN, **_NOBODY_IS_ASKED, **more})


def environment_to_others(config: Iterable[tuple[str, str]] = (), **more: str) -> dict[str, str]:
    """As `environment`, for git that reaches another machine: with the proxies, keys, certificates and credentials of
    the environment and of the user's settings."""
    ways = _taken(_TO_OTHERS) | proxies.variables()
    if "SSL_CERT_FILE" in os.environ:  # all other clients here read it, but not every git
        ways.setdefault("GIT_SSL_CAINFO", os.environ["SSL_CERT_FILE"])
    theirs = _settings_to_others(*(os.environ.get(name) for name in ("HOME", "XDG_CONFIG_HOME", "GIT_CONFIG_GLOBAL")))
    ssh = [] if "GIT_SSH" in ways else [_SSH]
    return _with([*ssh, *theirs, *config], {**environment(), **ways, **more})


def environment_of_user(**more: str) -> dict[str, str]:
    """The environment for git in a person's working copy: all their settings, but none of the variables by which a git
    hook names another repository."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("GIT_") or _is_setting(name)}
    return {**kept, "LC_ALL": "C", **more}


def _is_setting(name: str) -> bool:
    return name.startswith("GIT_CONFIG") or name == "GIT_EXEC_PATH"


def _taken(names: Iterable[str]) -> dict[str, str]:
    return {name: os.environ[name] for name in names if name in os.environ}


def _with(config: Iterable[tuple[str, str]], variables: dict[str, str]) -> dict[str, str]:
    pairs = list(config)
    variables["GIT_CONFIG_COUNT"] = str(len(pairs))
    for number, (key, value) in enumerate(pairs):
        variables |= {f"GIT_CONFIG_KEY_{number}": key, f"GIT_CONFIG_VALUE_{number}": value}
    return variables


@lru_cache(maxsize=4)
def _settings_to_others(*where: str | None) -> tuple[tuple[str, str], ...]:
    """The settings of this machine and user for reaching other machines. ``where``: the cache's key."""
    done = run(["config", "--list", "-z", "--show-scope"], environment_of_user(GIT_CEILING_DIRECTORIES="/"), cwd="/")
    words = done.stdout.decode(errors="surrogateescape").split("\0")
    rows = zip(words[::2], words[1::2], strict=False)
    settings = [row.partition("\n") for scope, row in rows if scope not in _OF_A_REPOSITORY]
    return tuple((key, value) for key, _, value in settings if _SETTINGS_TO_OTHERS.match(key))


def run(
    arguments: Iterable[str],
    variables: Mapping[str, str] | None = None,
    *,
    repository: Path | None = None,
    before: Iterable[str] = (),
    **options: Any,
) -> "subprocess.CompletedProcess[bytes]":
    """Runs git to its end and captures stdout and stderr. ``options``: of `subprocess.run`. ``variables``: the
    environment, by default `environment()`."""
    arguments = list(arguments)
    command = _command(arguments, repository, before)
    with steps.timed("git", arguments[0]):
        return subprocess.run(command, env=_given(variables), capture_output=True, check=False, **options)


def start(
    arguments: Iterable[str],
    variables: Mapping[str, str] | None = None,
    *,
    repository: Path | None = None,
    **options: Any,
) -> "subprocess.Popen[bytes]":
    """Starts git. ``options``: of `subprocess.Popen`; else as `run`."""
    return subprocess.Popen(_command(arguments, repository), env=_given(variables), **options)


def _command(arguments: Iterable[str], repository: Path | None, before: Iterable[str] = ()) -> list[str]:
    place = ["-C", str(repository)] if repository is not None else []
    return [*before, program(), *place, *arguments]


def _given(variables: Mapping[str, str] | None) -> Mapping[str, str]:
    return environment() if variables is None else variables


def check_git() -> None:
    """Raises `Error` (unavailable) if the system's git is missing or too old."""
    output = run(["version"]).stdout.decode(errors="replace")
    version = re.search(r"(\d+)\.(\d+)", output)
    if version is None or (int(version[1]), int(version[2])) < OLDEST_GIT:
        raise unavailable(f"{output.strip() or 'git'} is too old: install git 2.34 or later")


def git(
    repository: Path,
    *arguments: str,
    gently: bool = False,
    variables: Mapping[str, str] | None = None,
    text: str = "",
) -> str:
    """Runs git in the repository; returns its stdout. Raises `Error` (unavailable) with git's message.

    ``gently``: with a low priority. ``text``: its stdin.
    """
    nice = shutil.which("nice") if gently else None
    before = [nice, "-n", _NICE] if nice else []
    done = run(arguments, variables, repository=repository, before=before, input=text.encode())
    if done.returncode:
        raise unavailable(f"git {arguments[0]}: {done.stderr.decode(errors='replace').strip()}")
    return done.stdout.decode(errors="surrogateescape")


def commit_of(repository: Path, name: str) -> str | None:
    """The id of the commit that git finds for ``name`` (a branch, a tag, an id or the start of one); None if none."""
    arguments = ["rev-parse", "--verify", "--quiet", "--end-of-options", f"{name}^{{commit}}"]
    done = run(arguments, repository=repository)
    return done.stdout.decode().strip() if done.returncode == 0 else None


def has_object(repository: Path, sha: str) -> bool:
    return run(["cat-file", "-e", sha], repository=repository).returncode == 0


def is_ancestor(repository: Path, old: str, new: str) -> bool:
    """Also False if git can't tell, because one of the commits is missing."""
    return run(["merge-base", "--is-ancestor", old, new], repository=repository).returncode == 0


def fork_of(repository: Path, first: str, second: str) -> str | None:
    """The last commit that both histories share; None if there is none."""
    return run(["merge-base", first, second], repository=repository).stdout.decode().strip() or None
