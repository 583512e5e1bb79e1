"""git's `pre-receive` hook: asks the running server about a push, or a process of its own if no server runs.

git runs this file in the repository. It imports only the standard library, because each push waits for it. It sends one
JSON object to the server's socket and gets one back, see `jobserver.service.push.hook_server`.
"""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

_SECONDS = 120


def main() -> int:
    # The name of a ref may contain characters that splitlines() splits at, and bytes that are not UTF-8.
    lines = sys.stdin.buffer.read().decode("utf-8", "surrogateescape").removesuffix("\n").split("\n")
    quarantine = os.environ.get("GIT_QUARANTINE_PATH", "")
    question = {
        "updates": [line.split(" ", 2) for line in lines],
        "quarantine": os.path.abspath(quarantine) if quarantine else "",  # noqa: PTH100 - does not resolve links
        "actor": os.environ.get("JOBSERVER_ACTOR", ""),
    }
    data = json.dumps(question).encode()
    for path in sorted(Path().glob("jobserver-*.sock")):
        answer = ask(str(path), data)
        if answer is not None:
            break
    else:
        answer = alone(data)
    for line in answer["lines"]:
        print(line, file=sys.stderr)  # noqa: T201 - git shows it to the person who pushed
    return 0 if answer["ok"] else 1


def ask(path: str, data: bytes) -> "dict[str, Any] | None":
    """The server's answer; None if no server listens there."""
    with socket.socket(socket.AF_UNIX) as server:
        try:
            server.settimeout(_SECONDS)
            server.connect(path)
        except OSError:
            return None
        try:
            server.sendall(data)
            server.shutdown(socket.SHUT_WR)
            parts = []
            while part := server.recv(65536):
                parts.append(part)
            answer: dict[str, Any] = json.loads(b"".join(parts))
            return answer
        except (OSError, ValueError):
            return {"ok": False, "lines": ["jobserver: the server stopped before it answered: push again"]}


def alone(data: bytes) -> "dict[str, Any]":
    environment = {key: value for key, value in os.environ.items() if not key.startswith("GIT_")}
    command = [sys.executable, "-m", "jobserver", "judge-push"]
    done = subprocess.run(command, input=data, stdout=subprocess.PIPE, env=environment, check=False)
    try:
        verdict: dict[str, Any] = json.loads(done.stdout)
        return verdict
    except ValueError:
        return {"ok": False, "lines": ["jobserver: this push could not be judged"]}


if __name__ == "__main__":
    sys.exit(main())
