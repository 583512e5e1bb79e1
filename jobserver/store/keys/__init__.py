"""The keys that servers sign with: who may sign when, and how that changes.

    signing   SSH signatures of commits, made in process
    signers   `allowed_signers`: which keys there are, and in which time each may sign
    key_walk  main from its first commit: only a key that is valid may change who is valid
    rotation  a new key for the server, while it runs

May import errors, domain and the store's git, yaml, read and write.
"""
