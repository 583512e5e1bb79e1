"""`jobserver serve`: the HTTP server. One process serves, with an event loop and threads; this one supervises it.

docs/decisions/0003 and 0016 say why. The supervisor has no state: it starts and stops the serving process, and is what
a service manager sees. It binds the port; the serving process listens there when it can answer.
"""

import errno
import gc
import http.client
import ipaddress
import multiprocessing
import os
import resource
import signal
import socket
import sys
import threading
import time
from multiprocessing.process import BaseProcess
from pathlib import Path

import click

from jobserver.cli import service_manager
from jobserver.config.checks import check_host
from jobserver.config.settings import Settings
from jobserver.errors import Error, invalid, unavailable
from jobserver.worker import STOP_SIGNALS, on_stop_signal, start_task

_THREADS = 512  # 256 may hold polls (web.polls.MAX_HELD); started on demand
_ANSWER_SECONDS = 10.0
_STOP_SECONDS = 15
_ORPHAN_SECONDS = 0.5  # for calls in progress, when the supervisor was killed
_PORT_SECONDS = 5.0  # for the serving process of a killed server to end
_CONTAINER = (Path("/.dockerenv"), Path("/run/.containerenv"))  # docker and podman create these


def _run(settings: Settings, bound: socket.socket, lifeline: int) -> None:
    """The serving process: serves until the other end of ``lifeline`` is closed, also by a kill -9."""
    from jobserver import logs
    from jobserver.cli.terminal.progress import reading
    from jobserver.serving.server import serve as open_server
    from jobserver.web.server.gateway import Gateway
    from jobserver.web.server.http_server import BACKLOG, HttpServer

    # A terminal, `docker stop` and service managers signal every process at once. This one ignores that and stops in
    # order, when the supervisor closes the lifeline.
    for number in STOP_SIGNALS:
        signal.signal(number, lambda *_: None)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, STOP_SIGNALS)
    parent = os.getppid()
    logs.configure(settings.log_format, settings.log_level)
    _raise_file_limit()
    gc.set_threshold(20_000, 20, 50)  # there are few cycles, and each search for them stops every thread
    with reading() as progress:
        server = open_server(settings, progress=progress)
    address = bound.getsockname()[:2]
    try:
        bound.listen(BACKLOG)  # only now, so that a proxy sends no calls before
    except OSError as error:  # another server took the port meanwhile
        raise _unusable(error, *address) from None
    http_server = HttpServer(Gateway(server.wsgi, _THREADS), bound)

    def end() -> None:
        os.read(lifeline, 1)  # returns when the other end is closed
        server.index.end_waits()
        server.controllers.close()  # another server takes the lease at once
        server.pushes.close()
        server.archiver.close()
        server.recorder.close()  # the next server goes on with its readings
        server.checkpointer.close()  # the last checkpoint, before the process may be killed
        http_server.stop()
        if os.getppid() != parent:  # no supervisor can end a hanging process, and a new server may wait for the port
            time.sleep(_ORPHAN_SECONDS)
            os._exit(1)

    gc.freeze()
    start_task("lifeline", end)
    service_manager.start_watchdog(lambda: _answers(*address))
    service_manager.notify("READY=1")
    http_server.run()


def _answers(host: str, port: int) -> bool:
    """Whether the server answers a call, whatever the answer is."""
    connection = http.client.HTTPConnection(host, port, timeout=_ANSWER_SECONDS)
    try:
        connection.request("GET", "/health-check/alive/")
        return connection.getresponse().status > 0
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _child(settings: Settings, bound: socket.socket, ours: int, theirs: int) -> None:
    os.close(theirs)
    try:
        _run(settings, bound, ours)
    except Error as error:
        click.echo(f"jobserver: {error}", err=True)
        os._exit(1)


def _supervise(process: BaseProcess, ours: int, theirs: int) -> int:
    """Runs the serving process until it ends or this one is told to stop. Returns the exit code."""
    is_stopping = threading.Event()

    def stop() -> None:
        is_stopping.set()
        os.close(theirs)
        time.sleep(_STOP_SECONDS)
        process.kill()

    signal.pthread_sigmask(signal.SIG_BLOCK, STOP_SIGNALS)  # until each process has its own handlers
    process.start()
    os.close(ours)
    try:
        on_stop_signal(stop)
    except BaseException:  # no thread to be had; Python waits for the serving process, which would go on
        process.kill()
        raise
    signal.pthread_sigmask(signal.SIG_UNBLOCK, STOP_SIGNALS)
    process.join()
    return 0 if is_stopping.is_set() else 1


def _bind(host: str, port: int) -> socket.socket:
    """A socket that no other server can share. Raises `Error` if the port stays in use."""
    ends = time.monotonic() + _PORT_SECONDS
    while True:
        try:
            with _socket(host, port) as probe:
                probe.listen()  # two sockets can be bound to a port while neither listens
            return _socket(host, port)
        except OSError as error:
            if error.errno != errno.EADDRINUSE or time.monotonic() > ends:
                raise _unusable(error, host, port) from None
        time.sleep(0.05)


def _socket(host: str, port: int) -> socket.socket:
    bound = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # ignore closed connections
        bound.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        bound.bind((host, port))
    except BaseException:
        bound.close()
        raise
    return bound


def _unusable(error: OSError, host: str, port: int) -> Error:
    where = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    if error.errno == errno.EADDRINUSE:
        return unavailable(f"{where} is in use: stop the program that listens there, or choose another port", "PORT")
    return invalid(f"can't listen at {where}: {error.strerror}", "HOST")


def _raise_file_limit() -> None:
    """Each connection is an open file, even an idle one."""
    from jobserver.web.server.http_server import MAX_CONNECTIONS

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 2 * MAX_CONNECTIONS if hard == resource.RLIM_INFINITY else min(hard, 2 * MAX_CONNECTIONS)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def unreachable(host: str) -> bool:
    """Whether this is a container that nobody can reach at this address, even if its ports are published."""
    return ipaddress.ip_address(host).is_loopback and any(path.exists() for path in _CONTAINER)


@click.command()
@click.option("--host", help="[default: the setting HOST]")
@click.option("--port", type=click.IntRange(1, 65535), help="[default: the setting PORT]")
def serve(host: str | None, port: int | None) -> None:
    """Serve HTTP for people, scripts and runners."""
    settings = Settings.from_env()
    host, port = check_host(host) if host else settings.host, port or settings.port
    _check(settings)
    inherited = service_manager.inherited_socket()
    bound = inherited or _bind(host, port)
    host, port = bound.getsockname()[:2]
    shown = f"[{host}]" if ":" in host else host
    click.echo(f"serving {settings.base_url} at http://{shown}:{port}", err=True)
    if unreachable(host):
        click.echo(f"jobserver: HOST: nothing outside this container can reach {host}: use 0.0.0.0", err=True)
    ours, theirs = os.pipe()
    process = multiprocessing.get_context("fork").Process(target=_child, args=(settings, bound, ours, theirs))
    sys.exit(_supervise(process, ours, theirs))


def _check(settings: Settings) -> None:
    """Finds errors before the serving process starts, so that the supervisor reports them."""
    from jobserver import bootstrap

    bootstrap.check_settings(settings)
    bootstrap.connect(settings).close()
    bootstrap.check_private_store(settings)
