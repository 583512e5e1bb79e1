"""HTTP: read a call, use a service, answer. Owns bottle and granian; holds no rules, which are the domain's.

app             every URL of pages and operators; those of the API are in api/urls
services        what every handler may use
endpoints       calls the handlers of the API
authentication  who is the caller
visibility      the backends that this server shows
clients         the caller's address, and how often it may guess tokens
http            bodies, JSON answers and conditional requests
polls           calls that wait for a change
downloads       a released file as an answer
errors          the one map from errors to HTTP statuses
operations      /health-check/ and /metrics
metrics         the numbers of /metrics: calls and their steps
state_metrics   the numbers of /metrics: queues, runners and the repository
host_webhook    /hooks/state/, for the host of STATE_REMOTE
api/            the HTTP API v2
pages/          the web pages
git/            git over HTTP
server/         the event loop in front of the handlers

May import everything but the commands and the wiring.
"""
