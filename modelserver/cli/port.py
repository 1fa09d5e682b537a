"""Ports: one that is free now. Somebody else may take it before it is used; then `up` says so."""

import errno
import random
import socket

_OURS = range(20_000, 32_768)  #: below those that Linux gives to whoever connects (ip_local_port_range): before a part
#: has started, a connection of another part would take one of them
_TRIES = 100


def free_port(host: str = "127.0.0.1") -> int:
    """Raises OSError when none can be found."""
    for _ in range(_TRIES):
        port = random.SystemRandom().choice(_OURS)
        if _is_free(host, port):
            return port
    with socket.socket() as probe:
        probe.bind((host, 0))
        return int(probe.getsockname()[1])


def next_free_port(host: str, first: int, *, tries: int = 100) -> int:
    """`first`, or the next one above it that nobody listens on. Raises OSError where `host` is no address of ours."""
    for port in range(first, min(first + tries, 65536)):
        if _is_free(host, port):
            return port
    return free_port(host)


def _is_free(host: str, port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            if error.errno not in (errno.EADDRINUSE, errno.EACCES):
                raise
            return False
    return True
