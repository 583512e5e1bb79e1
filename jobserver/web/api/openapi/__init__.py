"""openapi.json: a description of the API for machines (OpenAPI 3.1), from which the page `/api/` is made for people.

Written by hand, and compared with the API by tests.

document    the whole document
operations  what the operations share: answers, bodies, the scope that a token needs
work        the operations on job requests, jobs, workspaces and releases
people      the operations on users, organisations, projects, backends and the site message
webhooks    the operations on the webhooks of a workspace
outputs     the operations on releases whose files people approve
airlock     the operations that Airlock calls
schemas     the schemas of answers
limits      the schemas of what projects and people may use, for both
bodies      the schemas of bodies
parameters  the parameters of paths, queries and headers
reference   the document as the page `/api/` shows it
"""
