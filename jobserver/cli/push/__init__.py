"""What git's hook starts. A person's push waits for it, so it imports no more than the decision needs.

judge       judge-push

May import everything, as `cli`.
"""
