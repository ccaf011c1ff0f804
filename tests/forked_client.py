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
ended_by, code = server.recv(2) or (0, 1)
if ended_by:
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), ended_by)
os._exit(code)
