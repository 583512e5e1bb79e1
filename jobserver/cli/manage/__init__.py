"""The commands about the documents of `main` that people and their work are in.

users       user
workspaces  workspace
projects    org, project
releases    release
messages    message
controllers rap

May import everything, as `cli`.
"""
