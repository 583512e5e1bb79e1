"""Released files and releases, prepared for their pages. Pure.

viewer      what a page shows of a file
difference  how a file differs from its last version
timeline    what happened to a release, in order

May import the domain and `pages/format`.
"""
