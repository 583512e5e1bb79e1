"""What was released of a workspace: a list, each release's files, and their downloads. Reads the storage, never git.

For those who check or publish output (domain/base/permissions.py), also where pages are public; a file is only ever
handed over to be saved, because it is somebody else's HTML as likely as not.
"""
