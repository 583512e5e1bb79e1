"""The system's git: where it is, whether it is new enough, what it says, and the one place that starts it.

It gets an environment of its own. What git(1) and git-config(1) let the environment and a person's settings change
(another repository, another format, line ends, replaced objects, hooks) must not change what is recorded or run. What
says how other machines are reached does count, where they are reached. A working copy is its user's, with all settings.
"""

import os
import re
import shutil
import subprocess
from collections.abc import Iterable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from jobserver.errors import unavailable
from jobserver.store import proxies

_NICE = "5"  # a third of what others get where they want it all; less, and maintenance would not keep up with writes
OLDEST_GIT = (2, 34)  # the first whose SSH signatures and geometric repacks we rely on

# Where programs, a person's keys and temporary files are.
_KEPT = ("PATH", "HOME", "TMPDIR", "LD_LIBRARY_PATH", "GIT_EXEC_PATH")
_TO_OTHERS = (
    *("SSH_AUTH_SOCK", "GIT_SSH", "GIT_SSH_COMMAND", "GIT_SSH_VARIANT", "GIT_PROXY_COMMAND"),
    *("GIT_SSL_CAINFO", "GIT_SSL_CAPATH", "GIT_SSL_CERT", "GIT_SSL_KEY", "GIT_SSL_NO_VERIFY"),
)
_SETTINGS_TO_OTHERS = re.compile(r"(?:credential|http|url|ssh)\.|core\.(?:sshcommand|gitproxy)$")
_OF_A_REPOSITORY = ("local", "worktree")
_OWN = {
    "LC_ALL": "C",  # what git says is read by us, too
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_GLOBAL": str(Path(__file__).with_name("gitconfig")),
    "GIT_ATTR_NOSYSTEM": "1",
    "GIT_DEFAULT_HASH": "sha1",
    "GIT_DEFAULT_REF_FORMAT": "files",
    "GIT_NO_REPLACE_OBJECTS": "1",
    "GIT_GRAFT_FILE": f"{os.devnull}/none",  # of one that can be read git says that it is old-fashioned
}
_SSH = ("core.sshCommand", "ssh -oBatchMode=yes -oConnectTimeout=10")
_NOBODY_IS_ASKED = {"GIT_TERMINAL_PROMPT": "0", "GIT_ASKPASS": "", "SSH_ASKPASS": ""}


def program() -> str:
    """Where the system's git is. Raises `Error` (unavailable) if it is missing."""
    found = shutil.which("git")
    if found is None:
        raise unavailable("git is missing: install it (2.34 or later)")
    return found


def environment(config: Iterable[tuple[str, str]] = (), **more: str) -> dict[str, str]:
    """For a git that works in a repository here. ``config``: settings that win over the repository's."""
    return _with(config, {**_taken(_KEPT), **_OWN, **_NOBODY_IS_ASKED, **more})


def environment_to_others(config: Iterable[tuple[str, str]] = (), **more: str) -> dict[str, str]:
    """As `environment`, for a git that speaks to another machine: by the proxies, keys, certificates and credentials
    that the environment and the settings of whoever runs us name for that."""
    ways = _taken(_TO_OTHERS) | proxies.variables()
    if "SSL_CERT_FILE" in os.environ:  # as all else here understands it, and not every git does
        ways.setdefault("GIT_SSL_CAINFO", os.environ["SSL_CERT_FILE"])
    theirs = _settings_to_others(*(os.environ.get(name) for name in ("HOME", "XDG_CONFIG_HOME", "GIT_CONFIG_GLOBAL")))
    ssh = [] if "GIT_SSH" in ways else [_SSH]
    return _with([*ssh, *theirs, *config], {**environment(), **ways, **more})


def environment_of_user(**more: str) -> dict[str, str]:
    """For a git in a person's working copy, which is theirs with all their settings; but it is that one, whatever git
    has told us of another."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("GIT_") or _is_setting(name)}
    return {**kept, "LC_ALL": "C", **more}


def _is_setting(name: str) -> bool:
    return name.startswith("GIT_CONFIG") or name == "GIT_EXEC_PATH"


def _taken(names: Iterable[str]) -> dict[str, str]:
    return {name: os.environ[name] for name in names if name in os.environ}


def _with(config: Iterable[tuple[str, str]], variables: dict[str, str]) -> dict[str, str]:
    pairs = list(config)
    variables["GIT_CONFIG_COUNT"] = str(len(pairs))
    for at, (key, value) in enumerate(pairs):
        variables |= {f"GIT_CONFIG_KEY_{at}": key, f"GIT_CONFIG_VALUE_{at}": value}
    return variables


@lru_cache(maxsize=4)
def _settings_to_others(*where: str | None) -> tuple[tuple[str, str], ...]:
    """Those of this machine and person (``where``: whose, for the cache) that say how to reach other machines."""
    done = run(["config", "--list", "-z", "--show-scope"], environment_of_user(GIT_CEILING_DIRECTORIES="/"), cwd="/")
    words = done.stdout.decode(errors="surrogateescape").split("\0")
    rows = zip(words[::2], words[1::2], strict=False)
    found = [row.partition("\n") for scope, row in rows if scope not in _OF_A_REPOSITORY]
    return tuple((key, value) for key, _, value in found if _SETTINGS_TO_OTHERS.match(key))


def run(
    arguments: Iterable[str],
    variables: Mapping[str, str] | None = None,
    *,
    repository: Path | None = None,
    before: Iterable[str] = (),
    **options: Any,
) -> "subprocess.CompletedProcess[bytes]":
    """git to its end, its stdout and stderr kept; ``options`` are `subprocess.run`'s. ``variables``: by default those
    of `environment`."""
    command = _command(arguments, repository, before)
    return subprocess.run(command, env=_given(variables), capture_output=True, check=False, **options)


def start(
    arguments: Iterable[str],
    variables: Mapping[str, str] | None = None,
    *,
    repository: Path | None = None,
    **options: Any,
) -> "subprocess.Popen[bytes]":
    """As `run`, under way; ``options`` are `subprocess.Popen`'s."""
    return subprocess.Popen(_command(arguments, repository), env=_given(variables), **options)


def _command(arguments: Iterable[str], repository: Path | None, before: Iterable[str] = ()) -> list[str]:
    place = ["-C", str(repository)] if repository is not None else []
    return [*before, program(), *place, *arguments]


def _given(variables: Mapping[str, str] | None) -> Mapping[str, str]:
    return environment() if variables is None else variables


def check_git() -> None:
    """Raises `Error` (unavailable) if the system's git is missing or too old."""
    said = run(["version"]).stdout.decode(errors="replace")
    found = re.search(r"(\d+)\.(\d+)", said)
    if found is None or (int(found[1]), int(found[2])) < OLDEST_GIT:
        raise unavailable(f"{said.strip() or 'git'} is too old: install 2.34 or later")


def git(repository: Path, *arguments: str, gently: bool = False, variables: Mapping[str, str] | None = None) -> str:
    """Runs the system's git on the repository; its stdout. Raises `Error` (unavailable) with git's own words.

    ``gently``: it leaves the processors to others, where they want them.
    """
    nice = shutil.which("nice") if gently else None
    done = run(arguments, variables, repository=repository, before=[nice, "-n", _NICE] if nice else [])
    if done.returncode:
        raise unavailable(f"git {arguments[0]}: {done.stderr.decode(errors='replace').strip()}")
    return done.stdout.decode(errors="surrogateescape")


def commit_of(repository: Path, name: str) -> str | None:
    """The id of the commit that git knows by ``name`` (a branch, a tag, an id or its beginning); None if it is none."""
    asked = ["rev-parse", "--verify", "--quiet", "--end-of-options", f"{name}^{{commit}}"]
    done = run(asked, repository=repository)
    return done.stdout.decode().strip() if done.returncode == 0 else None


def has_object(repository: Path, sha: str) -> bool:
    return run(["cat-file", "-e", sha], repository=repository).returncode == 0


def is_ancestor(repository: Path, old: str, new: str) -> bool:
    """Also False where git can't say: one of them may not be there."""
    return run(["merge-base", "--is-ancestor", old, new], repository=repository).returncode == 0


def fork_of(repository: Path, one: str, other: str) -> str | None:
    """The last commit that both have; None if there is none."""
    return run(["merge-base", one, other], repository=repository).stdout.decode().strip() or None
