"""Calls the controllers that run the requests of some backends (docs/contract.md).

controllers  which controllers there are, and a thread for each
poll         asks one controller again and again, and does what is left to do
client       the calls of a controller's API
record       the active requests as a controller sees them, and reports into the record
lease        which of several servers makes the calls

`jobserver.domain.rap` decides what is left to do. May import errors, domain, store, index, runner, and service/reports,
service/studies and service/writes.
"""
