"""Releases: zips of files that backends let out, checked, stored and recorded.

upload   takes a release: check, store, record, publish
archive  reads a zip that may be hostile
"""
