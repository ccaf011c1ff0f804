"""Refuses network connections in the kernel that executes a bundle, which starts with this file (PYTHONSTARTUP).

A bundle has to work without a store, so a cell that needs one has to fail where the bundle is made. This finds
mistakes; it does not confine hostile code, which can start other programs.
"""

import socket
import sys

_EVENTS = ("socket.connect", "socket.sendto", "socket.sendmsg", "socket.getaddrinfo", "socket.gethostbyname")
# Windows has no AF_UNIX in Python: there, event loops connect to themselves by TCP.
_WITHIN_THIS_MACHINE = ("127.0.0.1", "::1", "localhost") if sys.platform == "win32" else ()


def _refuse(event: str, arguments: tuple[object, ...]) -> None:
    if event not in _EVENTS:
        return
    first = arguments[0]
    if isinstance(first, socket.socket) and first.family not in (socket.AF_INET, socket.AF_INET6):
        return
    address = arguments[1] if isinstance(first, socket.socket) else first
    host = address[0] if isinstance(address, tuple) else address
    if host not in _WITHIN_THIS_MACHINE:
        raise PermissionError(f"The cells of a bundle use no network: no connection to {host} was made.")


if __name__ == "__main__":
    sys.addaudithook(_refuse)
