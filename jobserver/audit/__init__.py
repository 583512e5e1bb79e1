"""The record as its reader sees it: who did what when, and whether it was changed. Reads only.

May import errors, domain and store; needs nothing but the repository and the public keys, so that an auditor can run
it on a clone. A floor of its own beside the index, because it must not believe what the index says.
"""
