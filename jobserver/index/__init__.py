"""The read model: what pages and API answers are made from. It is derived from the branches and can be thrown away.

May import errors, worker, domain and store; owns SQLite. Decisions never ask it: `plan` and `admit` read the branch
itself, so a mistake here can't get into the record, and deleting the file loses nothing.

index      `Index`, which everybody else uses
live/      what follows the branches
sqlite/    the index file
queries/   what is read from it
directory  `main` in memory: people, backends, workspaces
reader     who reads in this thread, where reading is limited
listing    the active job requests of some backends as ready bytes
items      job requests and jobs as JSON
"""
