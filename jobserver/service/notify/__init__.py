"""Email: who asked is told when a job request is finished, who is invited to a project that they are. Derived from the
branches, sent in the background.

Knows nothing of the gate: a command never waits for an email, and a lost one changes no record.
"""
