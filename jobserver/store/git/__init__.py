"""git repositories: reading and writing them, by dulwich or by the system's git.

    command         the one place that starts the system's git
    cat_file        reads commits and objects through `git cat-file`, for readers of a whole history
    revision_files  streams every file of a revision
    revisions       which ids belong to a branch's own history
    objects, trees  objects by id with caches; raw trees, spliced without parsing them
    diff            what differs between two trees
    packs, refs     writes packs; moves branches by compare-and-swap
    repack          joins packs, whatever the length of the history
    locks           removes lock files that killed processes left behind
    remote          a hosted repository
    received_pack   reads a pack that a client sends, before git does

May import errors, domain and the store's fs, yaml and proxies.
"""
