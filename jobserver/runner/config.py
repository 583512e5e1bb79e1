"""The options of a runner, which the command line fills in."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal


@dataclass(frozen=True, slots=True)
class RunnerConfig:
    """Times are in seconds, sizes in bytes.

    root         the folder for everything that the runner writes; only one runner may use it
    study_repos  the folder with local studies; None: only https URLs
    once         run the requests that are there, report them, return
    signer       the server's key (``SHA256:...``) that must have signed requests that come by git
    wait         how long the server may hold a poll
    interval     the pause between polls if the server does not hold them
    attempts     with ``once``: how often to try to reach the server
    kill_grace   between SIGTERM and SIGKILL
    """

    backend: str
    url: str
    token: str = field(repr=False)
    root: Path
    study_repos: Path | None = None
    once: bool = False
    transport: Literal["http", "git"] = "http"
    signer: str = ""
    max_jobs: int = 2
    wait: float = 50.0
    interval: float = 5.0
    attempts: int = 8
    first_pause: float = 0.5
    longest_pause: float = 60.0
    checkout_timeout: float = 600.0
    job_timeout: float | None = None
    kill_grace: float = 10.0
    log_limit: int = 10 * 1024 * 1024
