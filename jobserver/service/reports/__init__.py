"""Reports of jobs, whoever sends them: runners that call, or a controller that the server calls.

reports   takes a report into the record
parsing   reads the jobs of a report, and says what is wrong with them
storable  alters values in a report that can't be stored

May import errors, domain, store, index, and service/writes.
"""
