"""Calls to URLs outside, about what happened.

store    the webhooks in the private store, and what a call holds
events   writes the calls about what happened
of_workspace  those of a workspace: who manages them, adding and removing
silence  which backends stopped calling, and which call again
client   calls a URL that somebody chose, and nothing inside our networks
"""
