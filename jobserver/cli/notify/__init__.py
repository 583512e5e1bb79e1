"""The commands about messages to people and other systems.

outbox  outbox

May import everything, as `cli`.
"""
