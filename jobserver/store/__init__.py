"""The state repository: the only owner of git (dulwich and the system's git), YAML and file watching.

May import `jobserver.domain` and `jobserver.errors`. A floor of its own because everything above it must be able
to forget that the record is a git repository, and because durability is decided here and nowhere else.
"""
