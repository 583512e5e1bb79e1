"""git's `pre-receive`: has a push judged by the running server, or, where there is none, by a process of its own.

Run by git in the repository, as a file and with nothing but the standard library, because each push waits for it.
Speaks one JSON object each way over the server's socket; see `jobserver.service.push.hook_server`.
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
    # A ref's name may have what Python takes for the end of a line, and bytes that are no UTF-8.
    lines = sys.stdin.buffer.read().decode("utf-8", "surrogateescape").removesuffix("\n").split("\n")
    quarantine = os.environ.get("GIT_QUARANTINE_PATH", "")
    question = {
        "updates": [line.split(" ", 2) for line in lines],
        "quarantine": os.path.abspath(quarantine) if quarantine else "",  # noqa: PTH100 - links stay links
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
        print(line, file=sys.stderr)  # noqa: T201 - git shows it to whoever pushed
    return 0 if answer["ok"] else 1


def ask(path: str, data: bytes) -> "dict[str, Any] | None":
    """None if nobody listens there."""
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
            return {"ok": False, "lines": ["jobserver: the server stopped while it judged this push: push again"]}


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
