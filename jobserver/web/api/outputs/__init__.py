"""The calls for releases whose files leave with the approvals of people.

urls     every URL, with its methods
calls    what each call reads or changes
items    a release and its files as JSON data
"""
