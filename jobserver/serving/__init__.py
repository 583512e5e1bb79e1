"""The wiring of a server: adds the index, the background work and the web to a command's parts (`bootstrap`).

server          what runs, in which order it starts, and how it ends
messages        emails, webhooks and issues
from_settings   what needs the settings only: logins, options of the web, error reports, traces

May import everything but the commands.
"""
