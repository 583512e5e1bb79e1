"""RAP controllers: services that run the job requests of backends, and that the server calls (docs/contract.md).

controller  the part of a backend's document that names its controller, and what that controller takes
answers     the shapes of a controller's answers
calls       the shapes of what the server sends to a controller
creation    fills in the call that creates a request there
reconcile   compares the record with a controller's answer: what to create, cancel, report

May import domain/base, and job_requests. To a controller, a job request is a RAP: a reproducible analytical pipeline.
"""
