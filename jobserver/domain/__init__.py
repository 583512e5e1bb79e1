"""The rules, pure: what a document is, what may follow what, who may do what, and what a change means.

May import the standard library, pydantic and `jobserver.errors`; no clock, no randomness, no input or output,
so that every decision can be replayed years later by `audit verify`.
"""
