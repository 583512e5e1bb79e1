"""What is read from the index, each within one view.

requests  lists of job requests, one of them, the queue of a backend
jobs      jobs of a job request, the latest job of each action
search    job requests by a query, and their numbers
terms     the words and filters of a query, as conditions
identifiers  what an identifier means
history   what has run before: runs of an action, weeks of a workspace, days of a backend
forecast  durations and waits of the past, from which the service estimates the future
releases  checked releases of a workspace, and the newest version of each file
branches  the numbers by which rows name their branches
"""
