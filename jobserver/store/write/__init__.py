"""The one writer of a repository.

    submission      what the writer takes and gives
    writer          what waits becomes one batch: one pack, one move of each ref
    commit_builder  the commits of a batch, built in memory
    compactor       joins the small packs of batches, beside the writer

May import errors, domain and the store's git, yaml, keys and read.
"""
