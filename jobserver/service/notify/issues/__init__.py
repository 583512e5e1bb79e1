"""GitHub issues in which output checkers talk about requests to release files.

change   what is to become of the issue of one release
client   makes, comments, labels and closes issues, each thing once
"""
