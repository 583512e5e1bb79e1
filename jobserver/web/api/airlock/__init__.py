"""What Airlock calls: the output checkers' program inside a backend, which speaks job-server's API (docs/contract.md).

urls    every URL
fields  reads the fields of a call
events  what Airlock tells about requests to release files
login   one-time tokens, and what a person may see in Airlock
"""
