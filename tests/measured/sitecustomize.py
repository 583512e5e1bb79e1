"""What Python imports at its start under `make coverage`: the threads that serve requests are measured too.

They are made by granian and not by `threading`, which would have told them of the tracer.
"""

import sys
import threading
from typing import Any

import bottle

_call = bottle.Bottle.__call__


def call(app: bottle.Bottle, environ: dict[str, Any], start_response: Any) -> Any:
    if sys.gettrace() is None:
        sys.settrace(threading.gettrace())
    return _call(app, environ, start_response)


bottle.Bottle.__call__ = call
