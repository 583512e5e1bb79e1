"""The environment of OpenSAFELY's runner, as PyPI has it: its pins are not ours, and nothing in it is changed.

`.ci/run` makes it, or else the first test that needs it.
"""

import fcntl
import os
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

FOLDER = Path(__file__).parent
ENVIRONMENT = FOLDER / ".venv"


def make_environment() -> str:
    """Why it can't be made; empty if it is there."""
    wanted = (FOLDER / "requirements.txt").read_text()
    made = ENVIRONMENT / "requirements.txt"
    with ExitStack() as stack:
        folder = os.open(FOLDER, os.O_RDONLY)
        stack.callback(os.close, folder)
        fcntl.flock(folder, fcntl.LOCK_EX)  # the tests' processes begin together
        if made.is_file() and made.read_text() == wanted:
            return ""
        python = str(ENVIRONMENT / "bin" / "python")
        options = ["--quiet", "--disable-pip-version-check", "--retries=1", "--timeout=10", "--only-binary=:all:"]
        requirements = ["--require-hashes", "--requirement", str(FOLDER / "requirements.txt")]
        for command in (
            [sys.executable, "-m", "venv", "--clear", str(ENVIRONMENT)],
            [python, "-m", "pip", "install", *options, *requirements],
        ):
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode:
                return (done.stderr.strip().splitlines() or ["no message"])[-1]
        made.write_text(wanted)
        return ""


if __name__ == "__main__":
    sys.exit(make_environment() or None)
