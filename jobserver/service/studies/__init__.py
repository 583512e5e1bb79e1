"""The code of workspaces: on GitHub or in local git repositories, with one interface for both.

registry         finds the source of a repository; what the rest of the server uses
base             what a source answers
refs             which commit a person means by a branch, a tag or a commit's id
github           studies on GitHub; it and github_refs are the only modules that import its client
github_refs      refs and commits there
local            studies in a folder on this machine
local_refs       refs and commits there
codelists        asks OpenCodelists whether a study's codelists are those of today
changes          what changed in a local study between two commits
github_changes   the commits between two commits of a study on GitHub
enclosed         opens a local repository only if nothing in it leads outside its folder
cached_source    remembers answers
deadline         stops waiting for slow calls
repository_list  the repositories that a new workspace offers
"""
