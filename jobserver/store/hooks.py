"""git's hooks in the state repository, and what they need to know to judge a push where no server runs."""

import json
import os
import shlex
from pathlib import Path

from jobserver.store.fs import disk_errors
from jobserver.store.git.packs import sync_folder

_SETTINGS = "jobserver.json"
_HOOK = "#!/bin/sh\n# Written by jobserver, at each start: every push is judged, also a local one.\nexec {command}\n"


def install(repository: Path, command: list[str], settings: dict[str, str]) -> None:
    """Writes `pre-receive` and the settings, each whole or not at all; leaves them alone if they say so already.

    Raises `Error` (unavailable) if the disk refuses.
    """
    hook = _HOOK.format(command=shlex.join(command))
    with disk_errors():
        (repository / "hooks").mkdir(exist_ok=True)
        _write(repository / "hooks" / "pre-receive", hook, 0o755)
        _write(repository / _SETTINGS, json.dumps(settings, indent=1) + "\n", 0o600)


def settings(repository: Path) -> dict[str, str]:
    """What `install` was given. Raises OSError or ValueError."""
    found: dict[str, str] = json.loads((repository / _SETTINGS).read_text())
    return found


def _write(path: Path, text: str, mode: int) -> None:
    if path.is_file() and path.read_text() == text and path.stat().st_mode & 0o777 == mode:
        return
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    beside.unlink(missing_ok=True)  # of a process with this id that was killed
    with open(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:  # noqa: PTH123
        file.write(text)
        file.flush()
        os.fchmod(file.fileno(), mode)  # never wider than this, also while it is written: it may hold a password
        os.fsync(file.fileno())  # an empty hook would let everything in
    beside.replace(path)
    sync_folder(path.parent)
