"""Where the code of workspaces lives: GitHub, or local git repositories; one interface for both.

`choose.Studies` is what others use; `base` has the values that it answers with. GitHub's client is imported
by `github`, dulwich by `local`, and nobody else here.
"""
