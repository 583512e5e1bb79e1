"""The commands about the documents of `main` that people and their work are in.

users       user
workspaces  workspace
projects    org, project
releases    release
messages    message

May import everything, as `cli`.
"""
