"""A branch as decisions see it, and commits that others made.

    snapshot      a branch as it is: the store's side of `domain.base.state.State`
    tree_changes  commits that others made, as changes of documents
    quarantine    the objects of a push that git has received and not taken yet
    validate      every fault of the documents in a commit or in files
    worktree      a working copy, judged before it is pushed

May import errors, domain and the store's git and yaml.
"""
