"""`./dev bench login`: what a password costs here, and how long a log-in takes on a real stack."""

from __future__ import annotations

import argparse
import json
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

from benchmarks.stack import running
from chalicelib.auth.passwords import CHOSEN, FLOOR, Argon2Passwords, Cost

EMAIL, PASSWORD = "bench@localhost", "a-password-for-the-bench"
# Slower than the throttle of one place, so that it does not get in the way.
PAUSE_S = 3.0
BURST = 9


def main(arguments: list[str]) -> None:
    """Measure and print."""
    flags = argparse.ArgumentParser(prog="./dev bench login", description=__doc__)
    flags.add_argument("--times", type=int, default=50, help="hashes of each cost")
    flags.add_argument("--logins", type=int, default=18, help="log-ins, on a stack of its own")
    given = flags.parse_args(arguments)
    for name, cost in (("chosen", CHOSEN), ("floor", FLOOR)):
        _report(f"argon2id {name}, {_spelled(cost)}", _hashes(cost, given.times))
    with tempfile.TemporaryDirectory(prefix="stroem-bench-") as folder:
        options = ("--workers", "0", "--admin", f"{EMAIL}:{PASSWORD}")
        with running(Path(folder) / "data", options, is_open=False) as stack:
            _log_in(stack.url, EMAIL, PASSWORD)
            right, wrong, unknown = [], [], []
            for number in range(given.logins // 3):
                if (number + 1) * 3 > BURST:
                    time.sleep(PAUSE_S * 3)
                right.append(_timed(lambda: _log_in(stack.url, EMAIL, PASSWORD)))
                wrong.append(_timed(lambda: _log_in(stack.url, EMAIL, PASSWORD[1:])))
                unknown.append(_timed(lambda: _log_in(stack.url, "nobody@localhost", PASSWORD)))
    _report("log-in over HTTP, right", right)
    _report("log-in over HTTP, wrong password", wrong)
    _report("log-in over HTTP, no such user", unknown)


def _hashes(cost: Cost, times: int) -> list[float]:
    passwords = Argon2Passwords(cost)
    kept = passwords.hash(PASSWORD)
    return [_timed(lambda: passwords.check(kept, PASSWORD)) for _ in range(times)]


def _timed(act: Callable[[], object]) -> float:
    began = time.perf_counter()
    act()
    return (time.perf_counter() - began) * 1000


def _log_in(url: str, email: str, password: str) -> int:
    request = urllib.request.Request(  # noqa: S310 - loopback
        f"{url}/api/auth/login",
        json.dumps({"email": email, "password": password}).encode(),
        {"Content-Type": "application/json"},
    )
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(request, timeout=10) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as refusal:
        if refusal.code != 401:
            raise
        return refusal.code


def _spelled(cost: Cost) -> str:
    return f"m={cost.memory_kib // 1024} MiB t={cost.passes} p={cost.lanes}"


def _report(what: str, times_ms: list[float]) -> None:
    in_order = sorted(times_ms)
    p50, p95 = in_order[len(in_order) // 2], in_order[int(len(in_order) * 0.95)]
    print(f"{what:<45}{p50:8.1f} ms p50{p95:8.1f} ms p95   (over {len(in_order)})")
