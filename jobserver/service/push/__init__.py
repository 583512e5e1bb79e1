"""Pushes, judged by the same rules as every other write.

hook_server  the socket where git's `pre-receive` hook asks for a verdict
receiver     who can push where; receipts
judge        what is wrong with each commit of a push
"""
