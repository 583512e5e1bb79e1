"""What is read from the index, each within one view.

requests  lists of job requests, one of them, the queue of a backend
jobs      jobs of a job request, the latest job of each action
search    job requests by text
counts    numbers of job requests, for the filters of the event log
forecast  durations and waits of the past, from which the service estimates the future
branches  the numbers by which rows name their branches
"""
