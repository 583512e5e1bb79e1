"""The server's many routes, compiled once.

Bottle compiles the patterns of all routes anew with each route that is added: a quarter of a second at each start.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from bottle import Bottle


@contextmanager
def compiled_at_the_end(app: Bottle) -> Iterator[None]:
    """Of the routes that are added meanwhile. A bottle that does this itself compiles nothing here."""
    router, methods = app.router, set[str]()
    router._compile = methods.add
    try:
        yield
    finally:
        del router._compile
    for method in methods:
        router._compile(method)
