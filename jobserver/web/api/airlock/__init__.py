"""What Airlock calls: the output checkers' program inside a backend, which speaks job-server's API (docs/contract.md).

urls      every URL
fields    reads the fields of a call
details   refusals in the shape that Airlock reads
releases  asks for releases, takes the bytes of their files and reviews
listing   reads the list of files that is asked for
files     lists of files, and their bytes
snapshots asks for files to be published
names     which release a call is about, and the ids of files
events    what Airlock tells about requests to release files
login     one-time tokens, and what a person may see in Airlock
"""
