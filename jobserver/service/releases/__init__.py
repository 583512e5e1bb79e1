"""Releases: zips of files that backends let out, checked, stored and recorded.

checked  takes releases under governance: asks, reviews, lets files out, withdraws and publishes them
upload   takes a release: check, store, record, publish
looks    names who looks at released files only to give technical support
archive  reads a zip that may be hostile
"""
