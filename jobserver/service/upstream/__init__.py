"""Several servers on one hosted repository (STATE_REMOTE), whose compare-and-swap all agree by.

sync        publishes batches, follows what others did
branches    the hosted branches, and those here that follow them
trust       whether a server of ours made or judged each commit that came that way
fairness    who goes next on a branch that several servers write
rate_limit  how often a host may be pushed to
"""
