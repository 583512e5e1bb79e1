"""What the server does beside deciding and storing: the gate, authentication, studies, notifications.

May import errors, domain, store, index, audit and runner; never web, which is one of its front ends.
A floor of its own because it is the lowest one that talks to other systems.
"""
