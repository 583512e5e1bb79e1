"""GitHub issues in which output checkers talk about requests to release files.

change   what is to become of the issue of one release
writer   what becomes of the issue at each event
client   makes, comments, labels and closes issues, each thing once
"""
