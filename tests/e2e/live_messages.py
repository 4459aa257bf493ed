"""What tests of live connections say and hear."""

import json
import time


def say(socket, **body):
    socket.send(json.dumps(body))


def hear(socket, *kinds, within_s=60.0):
    """Return what comes, up to a message of one of these types."""
    found, deadline = [], time.monotonic() + within_s
    while not found or found[-1]["type"] not in kinds:
        found.append(json.loads(socket.recv(timeout=max(0.01, deadline - time.monotonic()))))
    return found
