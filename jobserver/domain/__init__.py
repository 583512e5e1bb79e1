"""The rules of jobserver: which documents exist, what each command changes, and who may change what.

plan             what a command would change
admit            whether changes are sound, and whether the actor may make them
documents        every kind of document, with its model
backends         the secure environments that run jobs
users            people with an account
accounts         which account belongs to a person who logs in, and the first accounts
tokens           how users and backends prove who they are
orgs             organisations
site_messages    the message that every page shows
projects         projects of an organisation
members          members of organisations and projects, and invitations
workspaces       a study's repository and branch
governance/      what projects and people may use, and until when
job_requests/    requests, their jobs and their pipelines
rap/             controllers, which the server calls to have requests run
waiting/         why requests wait, and the state of backends
releases         files that a backend lets out on its own word, and the paths that they may have
outputs/         releases whose files may leave once enough people have approved them
record           receipts of pushes, checkpoints, statements of imports, and changes of the signing keys
pipeline/        what project.yaml says, and what is wrong with it
base/            what every noun is built on

The file of a noun holds its documents, its commands, what each command changes (`plan`), and its rules and rights
(`RULES`). It may import the standard library, pydantic and `jobserver.errors`, but no clock, no randomness, and nothing
that reads or writes, so that `audit verify` can repeat every decision years later.
"""
