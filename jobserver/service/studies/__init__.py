"""The code of workspaces: on GitHub or in local git repositories, with one interface for both.

registry         finds the source of a repository; what the rest of the server uses
base             what a source answers
github           studies on GitHub; the only module that imports its client
local            studies in a folder on this machine
changes          what changed in a local study between two commits
enclosed         opens a local repository only if nothing in it leads outside its folder
cached_source    remembers answers
deadline         stops waiting for slow calls
repository_list  the repositories that a new workspace offers
"""
