"""The HTTP API v2, for runners and for people's scripts (docs/contract.md, section 4).

job_requests     list, show, create and cancel job requests; the runners' polls
jobs             a runner's report
storable         alters values in a report that can't be stored
people           a user's roles, and the statuses of a workspace
releases         upload of released files
common           whose token a call needs, and idempotency keys
fields           reads the fields of a JSON object
openapi          openapi.json
openapi_schemas  its schemas and parameters
document_schemas the schemas of documents, for editors
"""
