"""Calls to URLs outside, about what happened.

store    the webhooks in the private store, and what a call holds
events   writes the calls about what happened
silence  which backends stopped calling, and which call again
client   calls a URL that somebody chose, and nothing inside our networks
"""
