"""`jobserver serve`: the HTTP server. One process with an event loop and threads, watched by this one.

Why granian, and why one process: docs/decisions. This process holds no state: it starts the serving one, stops it, and
is what a service manager sees. It binds the port; that one listens there once it can answer.
"""

import asyncio
import contextlib
import errno
import gc
import ipaddress
import os
import resource
import select
import signal
import socket
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import click
from granian import _signals
from granian._granian import SocketHolder, WorkerSignal
from granian.constants import HTTPModes, Interfaces, TaskImpl
from granian.log import LogLevels
from granian.server.mp import MPServer

from jobserver.config import Settings, check_host
from jobserver.errors import Error, invalid, unavailable
from jobserver.store import proxies

_THREADS = 512  # 256 may hold polls (web.api.job_requests.MAX_HELD); made when they are needed
_CONNECTIONS = 32_768  # idle ones and open pages among them
_STOP_SECONDS = 10
_FAREWELL_SECONDS = 5
_ORPHAN_SECONDS = 0.5  # for what is being answered
_PORT_SECONDS = 5.0  # for the serving process of a server that was killed to be gone
_BACKLOG = 2048
_CONTAINER = (Path("/.dockerenv"), Path("/run/.containerenv"))  # docker and podman make these


class _Server(MPServer):
    """Closes ``lifeline`` when it is told to stop; the serving process then ends the polls that it holds, writes its
    last checkpoint, and closes ``farewell``."""

    lifeline = -1
    farewell = (-1, -1)
    bound: socket.socket

    def _init_shared_socket(self) -> None:
        """Takes ours: granian's own, made with SO_REUSEPORT, would share the port with whoever is there."""
        holder: Any = SocketHolder(self.bound.fileno(), False, _BACKLOG)  # type: ignore[call-arg]
        self._ssp, self._shd, self._sso = None, holder, self.bound

    def signal_handler_interrupt(self, *args: Any, **kwargs: Any) -> None:
        with contextlib.suppress(OSError):
            os.close(self.lifeline)
            hears, ours = self.farewell
            os.close(ours)
            select.select([hears], [], [], _FAREWELL_SECONDS)
        super().signal_handler_interrupt(*args, **kwargs)  # type: ignore[no-untyped-call]


def _load(settings: Settings, bound: socket.socket, ours: int, theirs: int, farewell: tuple[int, int]) -> Any:
    """In the serving process: the application, tied to the life of the process that started it."""
    from jobserver import serving
    from jobserver.cli.progress import reading
    from jobserver.web.server.gateway import Gateway

    parent = os.getppid()
    stop = _deaf_to_signals()
    os.close(theirs)
    os.close(farewell[0])
    _raise_file_limit()
    gc.set_threshold(20_000, 20, 50)  # few cycles are made here, and each look for them holds everybody up
    try:
        with reading() as progress:
            server = serving.serve(settings, progress=progress)
        try:
            bound.listen(_BACKLOG)  # only now: a proxy must not send anybody here before
        except OSError as error:  # another server came first, while this one was getting ready
            raise _unusable(error, *bound.getsockname()[:2]) from None
    except Error as error:
        click.echo(f"jobserver: {error}", err=True)
        os._exit(1)

    def end() -> None:
        os.read(ours, 1)  # returns when the other end is closed, also by a kill -9
        server.index.end_waits()
        server.pushes.close()
        server.archiver.close()
        os.close(farewell[1])
        stop()
        if os.getppid() != parent:  # nobody will tell us to stop, and a new server may be waiting for the port
            time.sleep(_ORPHAN_SECONDS)
            os._exit(1)

    gc.freeze()
    threading.Thread(target=end, name="lifeline", daemon=True).start()
    return Gateway(server.wsgi, _THREADS)


def _deaf_to_signals() -> Callable[[], None]:
    """Has granian's part of this process hear of no signal; what to call instead when it is to stop.

    A terminal, `docker stop` and service managers tell every process at once. This one would then leave while it
    answers; the one that started it tells it in order.
    """
    told = threading.Event()
    ends: list[Callable[[], object]] = []

    def listen(loop: asyncio.AbstractEventLoop) -> WorkerSignal:
        event = WorkerSignal()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, int)
        ends.append(lambda: loop.call_soon_threadsafe(event.set))
        if told.is_set():  # before it served anybody
            loop.call_soon(event.set)
        return event

    def stop() -> None:
        told.set()
        for end in ends:
            end()

    _signals.set_loop_signals = listen
    return stop


def _bind(host: str, port: int) -> socket.socket:
    """A socket that nobody else can listen beside. Raises `Error` if the port is in use, and stays so."""
    ends = time.monotonic() + _PORT_SECONDS
    while True:
        try:
            with _socket(host, port) as probe:
                probe.listen()  # a port can be bound while others do no more either
            return _socket(host, port)
        except OSError as error:
            if error.errno != errno.EADDRINUSE or time.monotonic() > ends:
                raise _unusable(error, host, port) from None
        time.sleep(0.05)


def _socket(host: str, port: int) -> socket.socket:
    found = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    try:
        found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # connections that were closed do not count
        found.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        found.bind((host, port))
    except BaseException:
        found.close()
        raise
    return found


def _unusable(error: OSError, host: str, port: int) -> Error:
    where = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    if error.errno == errno.EADDRINUSE:
        return unavailable(f"{where} is in use: stop what listens there, or choose another", "PORT")
    return invalid(f"can't listen at {where}: {error.strerror}", "HOST")


def _raise_file_limit() -> None:
    """Each connection is an open file, also an idle one."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 2 * _CONNECTIONS if hard == resource.RLIM_INFINITY else min(hard, 2 * _CONNECTIONS)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def unreachable(host: str) -> bool:
    """Whether this is a container that nobody can reach at this address, whatever ports of it are published."""
    return ipaddress.ip_address(host).is_loopback and any(one.exists() for one in _CONTAINER)


@click.command()
@click.option("--host", help="By default the setting HOST.")
@click.option("--port", type=click.IntRange(1, 65535), help="By default the setting PORT.")
def serve(host: str | None, port: int | None) -> None:
    """Serve HTTP for people, scripts and runners."""
    settings = Settings.from_env()
    host, port = check_host(host) if host else settings.host, port or settings.port
    _check(settings)
    bound = _bind(host, port)
    (ours, theirs), farewell = os.pipe(), os.pipe()
    server = _Server(
        "jobserver",
        address=host,
        port=port,
        interface=Interfaces.RSGI,
        http=HTTPModes.http1,  # what proxies speak to us; being ready for either costs each open page 10 KB more
        task_impl=TaskImpl.asyncio,
        workers=1,
        backpressure=_CONNECTIONS,
        backlog=_BACKLOG,
        workers_kill_timeout=_STOP_SECONDS,
        respawn_failed_workers=False,
        log_level=LogLevels.error,
    )
    server.lifeline, server.farewell, server.bound = theirs, farewell, bound
    shown = f"[{host}]" if ":" in host else host
    click.echo(f"serving {settings.base_url} at http://{shown}:{port}", err=True)
    if unreachable(host):
        click.echo(f"jobserver: HOST: nothing outside of this container gets to {host}: 0.0.0.0 is all of it", err=True)
    server.serve(target_loader=partial(_load, settings, bound, ours, theirs, farewell), wrap_loader=False)


def _check(settings: Settings) -> None:
    """What would stop the serving process is better said by this one."""
    from jobserver import bootstrap
    from jobserver.service.accounts.private_store import PrivateStore

    proxies.check()
    if settings.sentry_dsn:
        from jobserver.service import sentry

        sentry.check(settings.sentry_dsn)
    bootstrap.release_store(settings)
    bootstrap.connect(settings).close()
    PrivateStore(settings.private_store).close()
