"""The one door for writes: every front end calls `gate.submit`.

gate          snapshot, plan, admit, commit, answer
standing      whether the writer may build on what stands on a branch
idempotency   the same POST again finds the commit that it made
key_change    ends a signing key, with checkpoints before and after
job_requests  asking for jobs, finding and cancelling them
"""
