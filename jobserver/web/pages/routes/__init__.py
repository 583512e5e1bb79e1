"""The pages by their addresses. A handler reads the form, acts, and renders a template.

home           the front page
find           lists to search: the event log, the workspaces
workspaces     a workspace, and the form that requests jobs
new_workspace  the form that creates a workspace
job_requests   a job request
jobs           a job
releases       released files
backends       the backends and their status
people         settings, following requests and workspaces, and the users for admins
orgs           organisations
projects       projects, with their members and registration
invitations    invitations to a project
site_message   the message that every page shows
live           tells open pages about changes
"""
