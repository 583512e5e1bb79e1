"""Releases under governance: files that may leave a backend once enough people have approved them.

documents  a release's document: its files, reviews, publications and tombstones
approvals  which file has which approvals, and what state that makes
commands   ask for a release, review it, record its files, withdraw them
publications  let anybody read released files, and end that
airlock    what Airlock tells about a request to release files
steps      what the plans of both have in common
views      looks of technical support at released files, which the record names
rules      what may be added to a release, and by whom

`domain.releases` has the releases that one backend vouches for, and the paths that files may have.
"""
