"""The record as an auditor reads it: who did what, and whether the record was changed. Reads only.

log                    `audit log`, and the audit tabs of the pages
verify                 `audit verify`: the whole record
replay                 decides each commit of a range again
trailer_check          whether a commit does what its trailers say
receipts               the receipts and checkpoints on `audit`
checkpoint             which tips may be in a checkpoint
repository_check       refs and objects that hide part of the history
vouched_release_check  files of vouched releases against the record
checked_release_check  the same for the files of checked releases

May import errors, domain and store. Needs only a repository and the public keys, and never uses the index.
"""
