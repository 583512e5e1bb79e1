"""Lists to search.

event_log       all job requests, or those of one workspace
workspace_list  all workspaces
"""
