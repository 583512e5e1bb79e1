"""The reference runner: fetches a backend's job requests, runs their actions and reports their jobs.

For trying jobserver out. It is NOT A SANDBOX: a study's commands run as this process's user, on this machine. A backend
with real data needs a runner that isolates them. This one shows what such a runner reports, and when.

loop       one thread that decides and keeps the state
plan       which jobs a request has, which may start, which must end
fetch      the thread that asks the server for job requests
tasks      the work of other threads: check out a study, run a job
study      a study's files at a commit, and its project.yaml
execute    one job: its folder, its command, its outputs
process    one command, and all that it started
report     reports jobs until the server accepts them
state      the files that survive a restart
model      the runner's request and job
backoff    how long to wait before trying again
config     the options of a runner
transport  HTTP or git
controller a runner that the server calls

May import errors, domain, store (to read project.yaml) and httpx: it runs on another machine than the server. Needs
Linux, because it uses /proc to find processes that an earlier runner left.

Imports nothing itself: the server uses `plan`, and needs neither the loop nor httpx.

    from jobserver.runner.config import RunnerConfig
    from jobserver.runner.loop import run

    summary = run(RunnerConfig(backend="tpp", url="https://jobs.example.org", token="...", root=Path("runner")))
"""
