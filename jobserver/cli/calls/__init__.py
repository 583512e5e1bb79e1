"""The commands that call a server by HTTP, for people's scripts: they need no access to its machine.

client  calls a server with a personal token
watch   watch
log     log

May import everything, as `cli`.
"""
