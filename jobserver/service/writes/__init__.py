"""The one door for writes: every front end calls `gate.submit`.

gate          snapshot, plan, admit, commit, answer
branch_guard  whether the writer may build on the commits of a branch
idempotency   the same POST again finds the commit that it made
key_change    ends a signing key, with checkpoints before and after
workspaces    adding and changing workspaces whose branch exists
job_requests  asking for jobs, finding and cancelling them
"""
