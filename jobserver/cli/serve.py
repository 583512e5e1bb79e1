"""`jobserver serve`: the HTTP server. One process that handles requests in threads, watched by this one.

Why granian, and why one process: docs/decisions. This process holds no state: it starts the serving one, stops it, and
is what a service manager sees.
"""

import contextlib
import gc
import os
import select
import threading
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import click
from granian.constants import Interfaces
from granian.log import LogLevels
from granian.server.mp import MPServer

from jobserver.config import Settings
from jobserver.errors import Error

THREADS = 960  # 256 held polls, 600 open pages, and the rest for everybody else
_STOP_SECONDS = 10
_FAREWELL_SECONDS = 5
_ORPHAN_SECONDS = 0.5  # for what is being answered


class _Server(MPServer):
    """Closes ``lifeline`` when it is told to stop; the serving process then ends the polls that it holds, writes its
    last checkpoint, and closes ``farewell``."""

    lifeline = -1
    farewell = (-1, -1)

    def signal_handler_interrupt(self, *args: Any, **kwargs: Any) -> None:
        with contextlib.suppress(OSError):
            os.close(self.lifeline)
            hears, ours = self.farewell
            os.close(ours)
            select.select([hears], [], [], _FAREWELL_SECONDS)
        super().signal_handler_interrupt(*args, **kwargs)  # type: ignore[no-untyped-call]


def _load(settings: Settings, ours: int, theirs: int, farewell: tuple[int, int]) -> Callable[..., Any]:
    """In the serving process: the WSGI application, tied to the life of the process that started it."""
    from jobserver import bootstrap
    from jobserver.cli.progress import reading

    parent = os.getppid()
    os.close(theirs)
    os.close(farewell[0])
    gc.set_threshold(20_000, 20, 50)  # few cycles are made here, and each look for them holds everybody up
    try:
        with reading() as progress:
            server = bootstrap.serve(settings, progress=progress)
    except Error as error:
        click.echo(f"jobserver: {error}", err=True)
        os._exit(1)

    def end() -> None:
        os.read(ours, 1)  # returns when the other end is closed, also by a kill -9
        server.index.release()
        server.pushes.close()
        server.follow_up.close()
        os.close(farewell[1])
        if os.getppid() != parent:  # nobody will tell us to stop, and a new server may be waiting for the port
            time.sleep(_ORPHAN_SECONDS)
            os._exit(1)

    gc.freeze()
    threading.Thread(target=end, name="lifeline", daemon=True).start()
    wsgi: Callable[..., Any] = server.wsgi
    return wsgi


@click.command()
@click.option("--host", help="By default the setting HOST.")
@click.option("--port", type=click.IntRange(1, 65535), help="By default the setting PORT.")
def serve(host: str | None, port: int | None) -> None:
    """Serve HTTP for people, scripts and runners."""
    settings = Settings.from_env()
    _check(settings)
    host, port = host or settings.host, port or settings.port
    (ours, theirs), farewell = os.pipe(), os.pipe()
    server = _Server(
        "jobserver",
        address=host,
        port=port,
        interface=Interfaces.WSGI,
        workers=1,
        blocking_threads=THREADS,
        backpressure=THREADS * 4,
        backlog=2048,
        workers_kill_timeout=_STOP_SECONDS,
        respawn_failed_workers=False,
        log_level=LogLevels.error,
    )
    server.lifeline, server.farewell = theirs, farewell
    click.echo(f"serving {settings.base_url} at http://{host}:{port}", err=True)
    server.serve(target_loader=partial(_load, settings, ours, theirs, farewell), wrap_loader=False)


def _check(settings: Settings) -> None:
    """What would stop the serving process is better said by this one."""
    from jobserver import bootstrap

    bootstrap.release_store(settings)
    bootstrap.connect(settings).close()
