"""The one entrance for writes: pages, the API, commands and background work all call `gate.submit`.

gate          snapshot, plan, admit, commit, answer
branch_guard  whether the writer may build on the commits of a branch
idempotency   the same POST again finds the commit that it made
key_change    ends a signing key, with checkpoints before and after
workspaces    adding and changing workspaces whose branch exists
job_requests  asking for jobs, finding and cancelling them
"""
