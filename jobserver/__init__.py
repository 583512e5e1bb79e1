"""jobserver: jobs for secure environments, recorded as signed commits in a git repository.

docs/architecture.md is the map. From top to bottom; each imports only what is below it:

__main__   runs the commands: `python -m jobserver`
cli/       the commands
serving    the wiring of a server
bootstrap  the wiring of a command
config     settings
web/       HTTP: the API, the pages, git over HTTP
service/   use cases: the gate for writes, pushes, several servers, accounts, studies, releases, email
index/     the read model, derived from the branches
audit/     who did what, and whether the record was changed
runner/    the reference runner
store/     the state repository: git, YAML, keys, the one writer
domain/    the rules: documents, commands, `plan` and `admit`
cache      keeps a limited number of values in memory
logs       the log, and the request that each record is about
steps      times the steps of a request
worker     threads for background work
errors     the error that every part raises
"""

__version__ = "0.2.0"
