"""Moving in: reads the database of OpenSAFELY's job-server into a new state repository.

database   opens a database, SQLite or PostgreSQL, and reads its tables as they are at one moment
values     what a cell of a row means: times, lists, roles, text that fits into a document
notes      rows that can't be taken as they are, and what the import does with them
context    what the parts of one import share
naming     valid names for old rows, each of them once
people     users, organisations and projects, as documents
limits     the number and the status of a project
workspaces backends and workspaces, as documents
requests   job requests with their jobs, as documents
pipelines  the actions of job requests
releases   released files, from the old server's folder
commits    what an import writes: each document's commit, if it is not in the repository yet
importer   the import as a whole

Facts about the old schema: job-server's models of May 2021, June 2025 and August 2026.
"""
