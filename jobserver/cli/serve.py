"""`jobserver serve`: the HTTP server. One process with an event loop and threads, watched by this one.

Why granian, and why one process: docs/decisions. This process holds no state: it starts the serving one, stops it, and
is what a service manager sees. It binds the port; that one listens there once it can answer.
"""

import errno
import gc
import ipaddress
import multiprocessing
import os
import resource
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable
from multiprocessing.process import BaseProcess
from pathlib import Path

import click

from jobserver.config import Settings, check_host
from jobserver.errors import Error, invalid, unavailable
from jobserver.store import proxies

_THREADS = 512  # 256 may hold polls (web.api.job_requests.MAX_HELD); made when they are needed
_STOP_SECONDS = 15
_ORPHAN_SECONDS = 0.5  # for what is being answered
_PORT_SECONDS = 5.0  # for the serving process of a server that was killed to be gone
_SIGNALS = signal.SIGINT, signal.SIGTERM
_CONTAINER = (Path("/.dockerenv"), Path("/run/.containerenv"))  # docker and podman make these


def _run(settings: Settings, bound: socket.socket, lifeline: int) -> None:
    """The serving process: serves until the other end of ``lifeline`` is closed, also by a kill -9."""
    from jobserver import serving
    from jobserver.cli.progress import reading
    from jobserver.web.server.gateway import Gateway
    from jobserver.web.server.http_server import BACKLOG, HttpServer

    # A terminal, `docker stop` and service managers signal every process at once. This one would then leave while it
    # answers; its parent tells it when to stop.
    _handle_signals(lambda *_: None)
    parent = os.getppid()
    _raise_file_limit()
    gc.set_threshold(20_000, 20, 50)  # few cycles are made here, and each search for them holds everybody up
    with reading() as progress:
        server = serving.serve(settings, progress=progress)
    try:
        bound.listen(BACKLOG)  # only now: a proxy must not send anybody here before
    except OSError as error:  # another server came first, while this one was getting ready
        raise _unusable(error, *bound.getsockname()[:2]) from None
    http = HttpServer(Gateway(server.wsgi, _THREADS), bound)

    def end() -> None:
        os.read(lifeline, 1)  # returns when the other end is closed
        server.index.end_waits()
        server.pushes.close()
        server.archiver.close()
        http.stop()
        if os.getppid() != parent:  # nobody will kill us if we hang, and a new server may be waiting for the port
            time.sleep(_ORPHAN_SECONDS)
            os._exit(1)

    gc.freeze()
    threading.Thread(target=end, name="lifeline", daemon=True).start()
    http.run()


def _child(settings: Settings, bound: socket.socket, ours: int, theirs: int) -> None:
    os.close(theirs)
    try:
        _run(settings, bound, ours)
    except Error as error:
        click.echo(f"jobserver: {error}", err=True)
        os._exit(1)


def _supervise(process: BaseProcess, ours: int, theirs: int) -> int:
    """Runs the serving process, and has it stop when this one is told to. The exit code."""
    is_stopping = threading.Event()

    def stop(*_: object) -> None:
        if not is_stopping.is_set():
            is_stopping.set()
            os.close(theirs)
            killer = threading.Timer(_STOP_SECONDS, process.kill)
            killer.daemon = True
            killer.start()

    signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)  # until each process has its own handlers
    process.start()
    os.close(ours)
    _handle_signals(stop)
    process.join()
    return 0 if is_stopping.is_set() else 1


def _handle_signals(handler: Callable[..., None]) -> None:
    for number in _SIGNALS:
        signal.signal(number, handler)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)


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
    from jobserver.web.server.http_server import MAX_CONNECTIONS

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 2 * MAX_CONNECTIONS if hard == resource.RLIM_INFINITY else min(hard, 2 * MAX_CONNECTIONS)
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
    shown = f"[{host}]" if ":" in host else host
    click.echo(f"serving {settings.base_url} at http://{shown}:{port}", err=True)
    if unreachable(host):
        click.echo(f"jobserver: HOST: nothing outside of this container gets to {host}: 0.0.0.0 is all of it", err=True)
    ours, theirs = os.pipe()
    process = multiprocessing.get_context("fork").Process(target=_child, args=(settings, bound, ours, theirs))
    sys.exit(_supervise(process, ours, theirs))


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
