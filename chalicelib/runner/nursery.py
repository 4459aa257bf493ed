"""A small process that starts commands for a large one.

To start a program as another user, Python copies the page tables of the whole process, which for a
worker takes longer than most of its steps; of this process they are small. When the worker is
gone, whatever it had running is killed. The one rule: this file imports nothing of ours and little
else, so that it stays small.
"""

from __future__ import annotations

import errno
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

_BUSY_TRIES = 20
_BUSY_S = 0.005
_LENGTH_BYTES = 8
_PIPES = 2


def start(
    argv: Sequence[str],
    cwd: str,
    env: Mapping[str, str],
    ids: tuple[int, int] | None,
    pipes: tuple[int, int],
) -> subprocess.Popen[bytes]:
    """Start a program with these pipes, as the user and group of `ids`, in a session of its own.

    Raises:
        OSError: it does not start. ValueError: an argument or a variable holds a null character.
    """
    for last in (False,) * _BUSY_TRIES + (True,):
        try:
            return subprocess.Popen(
                argv,
                cwd=cwd,
                env=env,
                stdin=subprocess.DEVNULL,
                stdout=pipes[0],
                stderr=pipes[1],
                bufsize=0,
                start_new_session=True,
                user=ids[0] if ids else None,
                group=ids[1] if ids else None,
                extra_groups=[] if ids else None,
            )
        except OSError as error:
            # Another thread's child may for a moment still hold a freshly written script open.
            if error.errno != errno.ETXTBSY or last:
                raise
        time.sleep(_BUSY_S)
    raise AssertionError


def send(channel: socket.socket, message: object, pipes: Sequence[int] = ()) -> None:
    """Send a message, and the open files that go with it."""
    text = json.dumps(message).encode()
    header = len(text).to_bytes(_LENGTH_BYTES)
    if pipes:
        socket.send_fds(channel, [header], list(pipes))
    else:
        channel.sendall(header)
    channel.sendall(text)


def receive(channel: socket.socket) -> tuple[Any, list[int]]:
    """Return the next message, and the open files that came with it.

    Raises:
        EOFError: the other side is gone.
    """
    header, pipes, _, _ = socket.recv_fds(channel, _LENGTH_BYTES, _PIPES)
    header += _exactly(channel, _LENGTH_BYTES - len(header))
    return json.loads(_exactly(channel, int.from_bytes(header))), pipes


def _exactly(channel: socket.socket, count: int) -> bytes:
    found = bytearray()
    while len(found) < count:
        piece = channel.recv(count - len(found))
        if not piece:
            raise EOFError
        found += piece
    return bytes(found)


def serve(channel: socket.socket) -> None:
    """Start what is asked for and tell how it ended, until nobody asks any more."""
    children: dict[int, subprocess.Popen[bytes]] = {}
    try:
        while True:
            asked, pipes = receive(channel)
            try:
                answer = _answer(children, asked, pipes)
            finally:
                for pipe in pipes:
                    os.close(pipe)
            send(channel, answer)
    except (EOFError, ConnectionError):
        for pid in children:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(pid, signal.SIGKILL)


def _answer(
    children: dict[int, subprocess.Popen[bytes]], asked: dict[str, Any], pipes: list[int]
) -> dict[str, Any]:
    if "pid" in asked:
        child = children.get(asked["pid"])
        if child is None:
            # One of a process that was here before.
            return {"returncode": -signal.SIGKILL}
        if child.poll() is not None:
            del children[child.pid]
        return {"returncode": child.returncode}
    try:
        ids = tuple(asked["ids"]) if asked["ids"] else None
        born = start(asked["argv"], asked["cwd"], asked["env"], ids, (pipes[0], pipes[1]))
    except OSError as error:
        return {"errno": error.errno, "error": error.strerror, "filename": error.filename}
    except ValueError as error:
        return {"value": str(error)}
    children[born.pid] = born
    return {"pid": born.pid}


if __name__ == "__main__":
    with socket.socket(fileno=int(sys.argv[1])) as inherited:
        serve(inherited)
