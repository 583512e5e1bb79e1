"""HTTP: parse, call a service, answer. May import everything below; owns bottle, and holds no rules of its own.

A floor of its own so that no decision can depend on how it was asked for.
"""
