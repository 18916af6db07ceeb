"""Addresses and ports that a server can listen on, found out before it starts."""

from __future__ import annotations

import errno
import os
import socket
from typing import Annotated

import typer

from mtm_core.errors import SelectionError

Address = Annotated[
    str, typer.Option(help="Address to listen on; the default is this machine only.")
]
THIS_MACHINE = "127.0.0.1"
DEFAULT_PORT = 8501
HIGHEST_PORT = 65535
_TRIED = 100
"""Ports after one that is taken that are looked at."""


def choose_port(
    address: str, asked: int | None, *, otherwise: int | None = None
) -> tuple[int, str]:
    """Return a port of ``address`` to listen on, and what to say about it, if anything.

    Parameters
    ----------
    address
        IPv4 or IPv6, or a host's name.
    asked
        The user's own choice; ``None`` takes ``otherwise``, or the next one that is free.
    otherwise
        ``DEFAULT_PORT`` where it is not given.

    Raises
    ------
    SelectionError
        If the user's own choice is taken or not allowed, or the address is not this machine's.
    """
    wanted = (otherwise or DEFAULT_PORT) if asked is None else asked
    problem = _problem(address, wanted)
    if problem is None:
        return wanted, ""
    free = next(
        (
            port
            for port in range(max(wanted + 1, 1024), min(wanted + _TRIED, HIGHEST_PORT) + 1)
            if _problem(address, port) is None
        ),
        None,
    )
    if free is None:
        free = _any_port(address)
    reason = (
        f"port {wanted} is taken by another program, perhaps a dashboard that still runs"
        if problem == errno.EADDRINUSE
        else f"port {wanted} cannot be used ({os.strerror(problem)})"
    )
    if asked is not None:
        raise SelectionError(f"{reason}. Port {free} is free: choose it with '--port {free}'.")
    return free, f"{reason[0].upper()}{reason[1:]}: port {free} is used instead."


def _problem(address: str, port: int) -> int | None:
    """Return the error number of listening on ``port``; ``None`` if it can be done.

    Raises
    ------
    SelectionError
        If the address is not this machine's.
    """
    try:
        places = socket.getaddrinfo(address, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (socket.gaierror, UnicodeError) as error:
        raise SelectionError(_not_ours(address)) from error
    listens = False
    for family, kind, protocol, _, place in places:  # localhost is one of IPv4 and one of IPv6
        try:
            with socket.socket(family, kind, protocol) as listener:
                if os.name == "posix":  # as the server does: a port just left is not taken
                    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                listener.bind(place)
                listener.listen(1)
        except OSError as error:
            if error.errno in (errno.EADDRINUSE, errno.EACCES, errno.EPERM):
                return error.errno
        else:
            listens = True
    if not listens:
        raise SelectionError(_not_ours(address))
    return None


def _any_port(address: str) -> int:
    """Let the system choose."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family) as listener:
        listener.bind((address, 0))
        return int(listener.getsockname()[1])


def _not_ours(address: str) -> str:
    return (
        f"{address!r} is not an address that this machine can listen on. Use '--address 127.0.0.1'"
        " for this machine only, or '--address 0.0.0.0' for all of its networks."
    )
