"""git itself: what is read of a repository, and what is written to it, by dulwich or by the system's git.

    command         the one place that starts the system's git
    cat_file        commits and objects by way of `git cat-file`, for whoever reads a whole history
    revision_files  every file of a revision, streamed
    revisions       which ids are of a branch's own history
    objects, trees  objects by id with caches; raw trees, spliced without parsing them
    diff            what differs between two trees
    packs, refs     what is written: packs, and branch tips by compare-and-swap
    locks           lock files that a killed process left behind
    remote          a hosted repository, as git can ask it
    received_pack   a pack that somebody sends, read whole before git sees it

May import errors, domain and the store's fs, yaml and proxies.
"""
