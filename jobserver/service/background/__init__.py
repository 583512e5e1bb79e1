"""What a server does by itself, each in a `Worker` of its own. All of it follows from the branches, so it may be late.

archiver      moves job requests that a push finished to the archive
checkpointer  writes checkpoints of all tips
recorder      records what runners reported of jobs some minutes ago
maintenance   repacks the repository every hour, and when there are many packs
"""
