"""The index file.

schema       tables, and how to recognise a file that is not ours
connections  one connection that writes, and a few that read
rows         documents as rows, and the summary of a job request
releases     checked releases and their files as rows
days         numbers of each day, which triggers keep
limited      a connection that shows some workspaces only
apply        changes of a branch, written to the rows in one transaction
build        the file built again from the branches
verify       rows that differ from the branches
status       how far the file has got
"""
