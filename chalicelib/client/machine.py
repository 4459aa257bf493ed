"""What the client needs of the machine, so that a test brings its own."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass

from chalicelib.client.socket import Connect, Socket


def _open(url: str) -> Socket:
    from chalicelib.client.websocket import open_socket  # noqa: PLC0415 - only who needs one loads it

    return open_socket(url)


@dataclass(frozen=True, slots=True)
class Machine:
    """Connections, a monotonic clock in seconds, sleep, and chance: a number from 0 to 1."""

    connect: Connect = _open
    now: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    chance: Callable[[], float] = random.random


@dataclass(frozen=True, slots=True)
class Patience:
    """For how long a server that does not answer is asked again, and how often it is polled."""

    silence_s: float = 30.0
    poll_s: float = 0.25
    slowest_poll_s: float = 2.0
