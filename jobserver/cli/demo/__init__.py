"""`jobserver demo`: a server, three backends with their runners and a sample study, in one folder.

command    the command: starts everything, requests jobs and follows them
contents   the study with its two branches, and the people, backends and workspaces
processes  the server and the runners, each in a process of its own

`study/` is the sample study, and `draft/` holds the files that its branch `draft` adds or changes.
"""
