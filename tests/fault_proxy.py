"""A proxy before any server that breaks the connection at a chosen moment: for databases and MLflow servers alike.

By hand, between a command and a PostgreSQL that goes silent after 4,000 bytes:

    python -m tests.fault_proxy 127.0.0.1:5432 silent --after 4000 --port 5433
    qualia findings --tracking-uri postgresql://user@127.0.0.1:5433/mlflow
"""

from __future__ import annotations

import argparse
import contextlib
import select
import socket
import struct
import threading
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    Address = tuple[str, int] | str

FAULTS = {
    "none": "hands everything on",
    "silent": "hands nothing on, and keeps the connection",
    "reset": "resets the connection",
    "close": "closes the connection",
    "drip": "hands on a byte every tenth of a second",
}


class FaultProxy:
    """Hands bytes on between those who connect and a server; what it does wrong may be changed meanwhile.

    Args:
        server: its host and port, or the path of its socket.
        fault: one of FAULTS.
        after: the bytes of the server that are handed on before.
    """

    def __init__(self, server: Address, fault: str = "none", after: int = 0, port: int = 0) -> None:
        self.server, self.fault, self.after = server, fault, after
        self.handed_on = 0
        self._listening = socket.create_server(("127.0.0.1", port))
        self.port = self._listening.getsockname()[1]
        self._over = threading.Event()
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        """Listen no more, and give up every connection."""
        self._over.set()
        self._listening.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while not self._over.is_set():
                client, _ = self._listening.accept()
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with contextlib.suppress(OSError), client, self._connected() as server:
            while not self._over.is_set():
                ready, _, _ = select.select([client, server], [], [], 0.1)
                for source in ready:
                    data = source.recv(65536)
                    if not data:
                        return
                    if not self._hand_on(data, client, server, from_server=source is server):
                        return

    def _connected(self) -> socket.socket:
        if not isinstance(self.server, str):
            return socket.create_connection(self.server, timeout=10)
        server = socket.socket(socket.AF_UNIX)
        server.connect(self.server)
        return server

    def _hand_on(self, data: bytes, client: socket.socket, server: socket.socket, *, from_server: bool) -> bool:
        """Hand on as much as is to be; whether the connection goes on."""
        target = client if from_server else server
        if self.fault == "none" or not from_server:
            target.sendall(data)
            return True
        before = max(self.after - self.handed_on, 0)
        target.sendall(data[:before])
        self.handed_on += len(data)
        rest = data[before:]
        if not rest:
            return True
        if self.fault == "silent":
            self._over.wait(600)
        elif self.fault == "drip":
            for place in range(len(rest)):
                target.sendall(rest[place : place + 1])
                if self._over.wait(0.1):
                    break
            return not self._over.is_set()
        elif self.fault == "reset":
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        return False


@contextlib.contextmanager
def faulty(server: Address, fault: str = "none", after: int = 0) -> Iterator[FaultProxy]:
    """A proxy before this server, for as long as this lasts."""
    proxy = FaultProxy(server, fault, after)
    try:
        yield proxy
    finally:
        proxy.close()


@contextlib.contextmanager
def silent_port() -> Iterator[int]:
    """A port where connections are taken and not a word is said."""
    with socket.create_server(("127.0.0.1", 0), backlog=50) as listening:
        yield listening.getsockname()[1]


def main() -> None:
    """Start one by hand."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("server", help="HOST:PORT, or the path of a socket")
    parser.add_argument("fault", choices=FAULTS, help="; ".join(f"{name}: {what}" for name, what in FAULTS.items()))
    parser.add_argument("--after", type=int, default=0, help="bytes of the server that are handed on before")
    parser.add_argument("--port", type=int, default=5433)
    asked = parser.parse_args()
    host, _, port = asked.server.rpartition(":")
    proxy = FaultProxy((host, int(port)) if host else asked.server, asked.fault, asked.after, asked.port)
    print(f"{asked.fault} after {asked.after:,} bytes, at port {proxy.port}, until Ctrl-C", flush=True)
    with contextlib.suppress(KeyboardInterrupt):
        while True:
            time.sleep(1)


if __name__ == "__main__":
    main()
