"""Installs git's pre-receive hook in the state repository, with the settings to judge a push without a server."""

import json
import shlex
from pathlib import Path

from jobserver.store.fs import disk_errors, replace_durably

_SETTINGS = "jobserver.json"
_HOOK = (
    "#!/bin/sh\n# jobserver writes this file at each start: it judges all pushes, also local ones.\nexec {command}\n"
)


def install(repository: Path, command: list[str], settings: dict[str, str]) -> None:
    """Writes `pre-receive` and the settings, each whole or not at all; leaves files alone that are up to date.

    Raises `Error` (unavailable) if the disk refuses.
    """
    hook = _HOOK.format(command=shlex.join(command))
    with disk_errors():
        (repository / "hooks").mkdir(exist_ok=True)
        _write(repository / "hooks" / "pre-receive", hook, 0o755)
        _write(repository / _SETTINGS, json.dumps(settings, indent=1) + "\n", 0o600)


def settings(repository: Path) -> dict[str, str]:
    """The settings that `install` wrote. Raises OSError or ValueError."""
    loaded: dict[str, str] = json.loads((repository / _SETTINGS).read_text())
    return loaded


def _write(path: Path, text: str, mode: int) -> None:
    if path.is_file() and path.read_text() == text and path.stat().st_mode & 0o777 == mode:
        return
    replace_durably(path, text.encode(), mode)  # an empty hook would let every push in
