"""The keys that servers sign with: who may sign when, and how that changes.

    signing   signs commits in process, and checks signatures
    signers   `allowed_signers`: the keys, and the time in which each may sign
    key_walk  follows the keys along main: only a valid key may change which keys are valid
    rotation  gives the running server a new key

May import errors, domain and the store's git, yaml, read and write.
"""
