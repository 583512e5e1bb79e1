"""What the run form would send, as calls to copy: for the API with curl, and as a command. Pure."""

import json
import shlex
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class RequestCall:
    """The choices of a form that requests jobs. ``url``: where the API takes them."""

    url: str
    workspace: str
    actions: Sequence[str]
    backend: str
    database: str
    is_forced: bool
    will_notify: bool
    ref: str = ""

    def curl(self) -> str:
        """The token is in the variable TOKEN of the shell."""
        body = {
            "requested_actions": list(self.actions),
            "backend": self.backend,
            "database_name": self.database,
            "force_run_dependencies": self.is_forced,
            "will_notify": self.will_notify,
        }
        if self.ref:
            body["ref"] = self.ref
        return f'curl -H "Authorization: $TOKEN" -d {shlex.quote(json.dumps(body))} {shlex.quote(self.url)}'

    def command(self) -> str:
        notify = "--notify" if self.will_notify else "--no-notify"
        options = ["--backend", self.backend, "--database", self.database, notify]
        if self.is_forced:
            options.append("--force-run-dependencies")
        if self.ref:
            options += ["--at", self.ref]
        return shlex.join(["jobserver", "request", *options, "--", self.workspace, *self.actions])
