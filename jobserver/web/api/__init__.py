"""The HTTP API v2, for runners and for people's scripts (docs/contract.md, section 4).

urls             every URL, with its methods and filters
job_requests     list, show, create, rerun and cancel job requests
searches         job requests and jobs of all times
jobs             a runner's report
workspaces       workspaces, and the statuses of their actions
projects         organisations and projects, with members and invitations
people           users, and the caller's own settings
backends         backends, and the site message
webhooks         the webhooks of a workspace
releases         upload, lists and download of released files
lists            filters and pages of lists
common           whose token a call needs, its fields, and idempotency keys
fields           reads the fields of a JSON object
airlock/         what Airlock calls: logins, releases and events
outputs/         releases whose files leave with the approvals of people
openapi/         openapi.json
document_schemas the schemas of documents, for editors
"""
