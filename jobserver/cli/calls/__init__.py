"""Commands as calls of a server by HTTP, for people's scripts: they need no access to its machine.

client  calls a server with a personal token
changes commands that change documents, if JOBSERVER_URL is set
reads   commands that list and show things, if it is set
watch   watch
log     log
own     view, follow, unfollow and workspace pin

May import everything, as `cli`.
"""
