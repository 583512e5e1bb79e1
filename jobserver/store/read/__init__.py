"""Reads branches for decisions, and commits that the server did not make.

    snapshot      a branch as it is now: the store's side of `State`
    owners        which active request each job belongs to, from commit to commit
    other_days    which requests are not where their identifiers say, from commit to commit
    commits       parses commits, and finds claims that only the server may make
    cancellations who cancelled actions of job requests
    tree_changes  what a commit changes, as changes of documents
    quarantine    the objects of a push that git has received and not accepted yet
    validate      finds every fault of the documents in a commit or in files
    worktree      checks a working copy before it is pushed

May import errors, domain and the store's git and yaml.
"""
