"""Releases: zips of files that backends let out, looked through, stored and recorded.

A room within `service`, because the zip reader is for hostile bytes and knows nothing of the rest.
"""
