"""Has a process run in a fork of `tests/forked.py`, and waits for it: its streams, folder, environment and signals are mine.

Started without the packages of this Python, so it takes hundredths of a second.
"""

import json
import os
import signal
import socket
import sys
from pathlib import Path

address, *arguments = sys.argv[1:]
server = socket.socket(socket.AF_UNIX)
server.connect(address)
about = json.dumps({"arguments": arguments, "folder": str(Path.cwd()), "environment": dict(os.environ)}).encode()
for number in (signal.SIGINT, signal.SIGTERM):
    signal.signal(number, lambda number, _: server.sendall(bytes([number])))
socket.send_fds(server, [len(about).to_bytes(4, "big")], [0, 1, 2])
server.sendall(about)
code = server.recv(1)  # nothing if it was killed
os._exit(code[0] if code else 137)
