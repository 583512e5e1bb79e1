"""The reference runner: takes a backend's job requests, runs their actions, reports how it went.

For trying things out. It is NO SANDBOX: a study's commands run as this process's user, on this machine. A backend
that holds real data needs a runner that isolates them; this one shows what such a runner has to say, and when.

May import errors, domain and store (to read project.yaml), and httpx. A floor of its own because it runs elsewhere
than the server and shares nothing with it but the contract. Linux: processes are found again by way of /proc.

    summary = run(RunnerConfig(backend="tpp", url="https://jobs.example.org", token="...", root=Path("runner")))
"""

from jobserver.runner.config import RunnerConfig
from jobserver.runner.loop import Runner, Summary, run

__all__ = ["Runner", "RunnerConfig", "Summary", "run"]
