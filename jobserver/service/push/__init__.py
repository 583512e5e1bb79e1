"""The same door for pushes, on the server's side.

hook_server  where git's `pre-receive` hook asks for a verdict
receiver     every commit of a push is judged by `admit` before git moves the ref
"""
