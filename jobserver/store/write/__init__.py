"""The one writer of a repository.

    submission      what callers hand to the writer, and what the writer hands back
    queue           collects submissions into batches; one thread serves each batch
    batch           one attempt at a batch: decides each submission and builds its commit
    commit_builder  the commits of a batch, built in memory
    turn            one process writes at a time
    tips            which tips it may build on, and which it wrote
    landing         makes a batch durable and moves its branches
    writer          ties these together: batches land one after the other, repeated where it makes sense
    compactor       joins the small packs of batches in the background

May import errors, domain and the store's git, yaml, keys and read.
"""
