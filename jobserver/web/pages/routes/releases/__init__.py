"""The pages of a workspace's released files.

access     who may look at them
lists      the workspace's releases, and the newest version of each file
checked    a release under governance: its files, approvals and publication
files      a released file: shown, compared and downloaded; all files as a zip
published  the files that anybody may read
vouched    a release that one backend vouches for
pages      adds these pages to the site
"""
