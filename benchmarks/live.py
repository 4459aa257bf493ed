"""`./dev bench live`: how old a line is when viewers see it, and how fast a long log comes."""

from __future__ import annotations

import argparse
import gzip
import json
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import urllib3
from websockets.sync.client import ClientConnection, connect

from benchmarks.measure import Server
from benchmarks.stack import running

PRINTS_FOR_S = 10
EVERY_S = 0.05
PING_S = 5.0
TASKS = {
    "clock": {
        "input": {"count": {"type": "integer", "required": True}},
        "flow": {"step": {"action": "clock", "input": {"count": "{{ input.count }}"}}},
    },
    "flood": {
        "input": {"count": {"type": "integer", "required": True}},
        "flow": {"step": {"action": "flood", "input": {"count": "{{ input.count }}"}}},
    },
}
ACTIONS = {
    "clock": {
        "type": "script",
        "input": {"count": {"type": "integer"}},
        "script": f"for i in $(seq {{{{ input.count }}}}); do date +%s%N; sleep {EVERY_S}; done",
    },
    "flood": {
        "type": "script",
        "input": {"count": {"type": "integer"}},
        "script": "seq -f 'line %09g of a log that is read from its beginning' {{ input.count }}",
    },
}


def main(arguments: list[str]) -> None:
    """Measure and print."""
    flags = argparse.ArgumentParser(prog="./dev bench live", description=__doc__)
    flags.add_argument("--viewers", type=int, nargs="*", default=[1, 20])
    flags.add_argument("--lines", type=int, default=200_000, help="lines of the long log")
    flags.add_argument("--control", choices=["direct", "http"], default="direct")
    given = flags.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="stroem-bench-") as folder:
        top = Path(folder)
        (top / "workspace").mkdir()
        content = json.dumps({"actions": ACTIONS, "tasks": TASKS})
        (top / "workspace" / "bench.yaml").write_text(content)
        options = ("--workspace", f"bench={top / 'workspace'}", "--control", given.control)
        with running(top / "data", options) as stack:
            server = Server(stack.url)
            _watch_clock(stack.url, server, 1, 20)
            for viewers in given.viewers:
                times_ms = _watch_clock(stack.url, server, viewers, int(PRINTS_FOR_S / EVERY_S))
                _report(f"printed -> seen, {viewers} viewers", times_ms)
            _report("joined -> first live line", [_join(stack.url, server) for _ in range(5)])
            _long_log(stack.url, server, given.lines)


def _watch_clock(url: str, server: Server, viewers: int, count: int) -> list[float]:
    """Let a job print the time; return how old each line was when each viewer saw it."""
    job_id = server.start("clock", count=count)
    ages: list[list[float]] = [[] for _ in range(viewers)]

    def view(into: list[float]) -> None:
        for seen_at, line in _lines(url, job_id, count):
            into.append(seen_at * 1000 - int(line["line"]) / 1e6)

    threads = [threading.Thread(target=view, args=(into,)) for into in ages]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    server.ended(job_id)
    # What was printed before the viewers came is backfill, not live.
    return [age for into in ages for age in into[len(into) // 4 :]]


def _join(url: str, server: Server) -> float:
    """Return how long after joining a job that nobody watched its first new line comes, in ms."""
    job_id = server.start("clock", count=int(PRINTS_FOR_S / EVERY_S))
    time.sleep(PRINTS_FOR_S / 2)
    joined = time.time_ns() / 1e9
    for seen_at, line in _lines(url, job_id, 1 << 30):
        if int(line["line"]) / 1e9 > joined:
            server.ended(job_id)
            return (seen_at - joined) * 1000
    raise SystemExit("no new line came")


def _long_log(url: str, server: Server, count: int) -> None:
    job_id = server.start("flood", count=count)
    server.ended(job_id)
    began = time.perf_counter()
    seen = sum(1 for _ in _lines(url, job_id, count))
    took_s = time.perf_counter() - began
    print(f"{f'a log of {count} lines':<45}{took_s:8.2f} s    {seen / took_s:9.0f} lines/s")


def _lines(url: str, job_id: str, count: int) -> Iterator[tuple[float, dict]]:
    """Yield lines of the job's one step in order, each once, with the time at which it came."""
    pool = urllib3.PoolManager()
    have, asked = 0, 0
    aside: dict[int, tuple[float, dict]] = {}
    with _connected(url, pool) as socket:
        topic = {"job_id": job_id}
        socket.send(json.dumps({"action": "subscribe", "id": "1", "topic": topic}))
        while have < count:
            message = _next(socket)
            now = time.time_ns() / 1e9
            for first, lines in _parts(message, pool):
                aside |= {first + at: (now, line) for at, line in enumerate(lines)}
            while have + 1 in aside:
                have += 1
                yield aside.pop(have)
            if aside and have >= asked:
                # What was written before the worker knew that somebody watches was not pushed.
                asked = min(aside) - 1
                span = {"first": have + 1, "last": asked}
                where = {**topic, "step": "step", "attempt": 1}
                socket.send(json.dumps({"action": "range", "id": "2", "topic": where, **span}))
            if message.get("type") == "end" and have >= message["end"]:
                return


def _parts(message: dict, pool: urllib3.PoolManager) -> Iterator[tuple[int, list[dict]]]:
    if message.get("type") == "lines":
        yield message["first"], message["lines"]
    for chunk in message.get("chunks", ()):
        text = gzip.decompress(pool.request("GET", chunk["url"], decode_content=False).data)
        lines = [json.loads(line) for line in text.decode().rstrip("\n").split("\n")]
        for _, _, first, last in chunk["spans"]:
            yield first, lines[: last - first + 1]
            lines = lines[last - first + 1 :]


def _next(socket: ClientConnection) -> dict:
    while True:
        try:
            message: dict = json.loads(socket.recv(timeout=PING_S))
        except TimeoutError:
            socket.send('{"action":"ping"}')
        else:
            return message


def _connected(url: str, pool: urllib3.PoolManager) -> ClientConnection:
    ticket = pool.request("POST", f"{url}/api/ws-ticket", json={}).json()
    return connect(f"{ticket['url']}?ticket={ticket['ticket']}", proxy=None, max_size=1 << 18)


def _report(what: str, times_ms: list[float]) -> None:
    in_order = sorted(times_ms)
    p50, p95 = in_order[len(in_order) // 2], in_order[int(len(in_order) * 0.95)]
    print(
        f"{what:<45}{p50:8.0f} ms p50{p95:8.0f} ms p95{in_order[-1]:8.0f} ms most"
        f"   (over {len(in_order)})"
    )
