"""The commands about messages to people and other systems.

outbox    outbox
webhooks  webhook

May import everything, as `cli`.
"""
