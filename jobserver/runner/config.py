"""What a runner has to be told. Read from nowhere: the command line fills it in."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal


@dataclass(frozen=True, slots=True)
class RunnerConfig:
    """Times in seconds, sizes in bytes. ``root`` holds all that the runner writes, and is one runner's only.

    ``study_repos`` is the folder that a workspace's repo may be a path inside of; None: https URLs only.
    ``signer``: the server's key, ``SHA256:...``, that requests by git must be signed with.
    ``once``: take what there is, run it to its end, report, return; a server that does not answer is then given up
    after ``attempts``. ``interval`` is the pause between polls of a server that does not hold them.
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
