"""Use cases, and everything that talks to other systems.

writes/      the gate: the one entrance for writes
reports/     jobs as runners and controllers report them
push/        decides on pushes
upstream/    several servers on one hosted repository
accounts/    tokens, GitHub logins, the private store
studies/     the code of workspaces, on GitHub or on this machine
releases/    files that backends release
notify/      email and webhooks
rap/         calls the controllers of backends
imports/     reads the database of another server into a new state repository
background/  what the server does by itself
budgets      how much one caller may use
forecasts    why a request waits, and when it is expected to start and end
presence     when each backend was last seen, and its flags
readings     what runners report of jobs between events
health       whether the server can read and write state
copies       witnesses and backups
sentry       reports errors
tls          how HTTP clients know other servers
traces       sends traces of requests

May import errors, domain, store, index, audit and runner.
"""
