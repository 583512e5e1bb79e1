"""`jobserver serve`: the HTTP server. One process with an event loop and threads, watched by this one.

Why granian, and why one process: docs/decisions. This process holds no state: it starts the serving one, stops it, and
is what a service manager sees.
"""

import contextlib
import gc
import os
import resource
import select
import threading
import time
from functools import partial
from typing import Any

import click
from granian.constants import Interfaces, TaskImpl
from granian.log import LogLevels
from granian.server.mp import MPServer

from jobserver.config import Settings
from jobserver.errors import Error

_THREADS = 512  # 256 may hold polls (web.app.Parts.max_held); made when they are needed
_CONNECTIONS = 32_768  # idle ones and open pages among them
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


def _load(settings: Settings, ours: int, theirs: int, farewell: tuple[int, int]) -> Any:
    """In the serving process: the application, tied to the life of the process that started it."""
    from jobserver import serving
    from jobserver.cli.progress import reading
    from jobserver.web.gateway import Gateway

    parent = os.getppid()
    os.close(theirs)
    os.close(farewell[0])
    _raise_file_limit()
    gc.set_threshold(20_000, 20, 50)  # few cycles are made here, and each look for them holds everybody up
    try:
        with reading() as progress:
            server = serving.serve(settings, progress=progress)
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
    return Gateway(server.wsgi, _THREADS)


def _raise_file_limit() -> None:
    """Each connection is an open file, also an idle one."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 2 * _CONNECTIONS if hard == resource.RLIM_INFINITY else min(hard, 2 * _CONNECTIONS)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


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
        interface=Interfaces.RSGI,
        task_impl=TaskImpl.asyncio,
        workers=1,
        backpressure=_CONNECTIONS,
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

    if settings.sentry_dsn:
        from jobserver.service import sentry

        sentry.check(settings.sentry_dsn)
    bootstrap.release_store(settings)
    bootstrap.connect(settings).close()
