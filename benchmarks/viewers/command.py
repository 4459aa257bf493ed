"""`./dev bench viewers`: each viewer sees each line once, whatever is lost, doubled or cut."""

from __future__ import annotations

import argparse
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.measure import Server
from benchmarks.stack import running
from benchmarks.viewers.crowd import Show, Sight, drawn, watch
from benchmarks.viewers.job import LEAD_S, TASK, WARM_UP, printed, write_workspace
from benchmarks.viewers.verdict import end_of
from benchmarks.viewers.weather import Weather
from chalicelib.client.live import LiveClient

# One of so many comes when all is over.
LATE = 50
_MOST_SAID = 10


def main(arguments: list[str]) -> int:
    """Run it; return the exit code: 1 if a line was missing, doubled, or not what was printed."""
    given = _flags().parse_args(arguments)
    weather = Weather(given.lost / 100, given.doubled / 100, given.life)
    with tempfile.TemporaryDirectory(prefix="stroem-bench-") as folder:
        top = Path(folder)
        (top / "workspace").mkdir()
        write_workspace(top / "workspace", given.lines, given.seconds)
        options = ("--workspace", f"bench={top / 'workspace'}", "--control", given.control)
        with running(top / "data", options) as stack:
            server = Server(stack.url)
            for _ in LiveClient.at(stack.url).follow(server.start(WARM_UP)):
                pass
            began = time.monotonic()
            show = Show(stack.url, server.start(TASK), given.lines, weather)
            late = max(1, given.viewers // LATE)
            early = drawn(given.viewers - late, LEAD_S + given.seconds, given.seed)
            sights = watch(show, early, given.processes)
            end = end_of(server.ended(show.job_id))
            sights += watch(show, drawn(late, 0, given.seed + 1))
            took_s = time.monotonic() - began
    _report(given.lines, sights, end, took_s)
    faults = faults_of(sights, end)
    for line in faults[:_MOST_SAID]:
        print(f"    {line}")
    return 1 if faults else 0


def faults_of(sights: Sequence[Sight], end: dict[str, Any]) -> list[str]:
    """Return in words what was not as it must be; `end` is how the job ended."""
    return [
        *(f"viewer {one.number}: {fault}" for one in sights for fault in one.faults),
        *(
            f"viewer {one.number} believes that the job ended so: {one.end}, not so: {end}"
            for one in sights
            if one.end != end
        ),
    ]


def _flags() -> argparse.ArgumentParser:
    flags = argparse.ArgumentParser(prog="./dev bench viewers", description=__doc__)
    flags.add_argument("--viewers", type=int, default=100)
    flags.add_argument("--lines", type=int, default=10_000, help="lines that the job writes")
    flags.add_argument("--seconds", type=float, default=120, help="time over which it writes them")
    flags.add_argument("--lost", type=float, default=5, help="percent of messages that are lost")
    flags.add_argument("--doubled", type=float, default=10, help="percent that come twice")
    flags.add_argument("--life", type=float, default=30, help="seconds until a connection breaks")
    flags.add_argument("--control", choices=["direct", "http"], default="direct")
    flags.add_argument("--seed", type=int, default=1, help="of all that is drawn")
    flags.add_argument("--processes", type=int, default=4, help="processes of the viewers")
    return flags


def _report(lines: int, sights: Sequence[Sight], end: dict[str, Any], took_s: float) -> None:
    counts: Counter[str] = sum((one.counts for one in sights), Counter())
    ages_ms = sorted(age for one in sights for age in one.ages_ms) or [0.0]
    p50, p95 = ages_ms[len(ages_ms) // 2], ages_ms[int(len(ages_ms) * 0.95)]
    seen = [one.verdict.seen for one in sights]
    wrote = sum(map(len, printed(lines).values()))
    rows = {
        "lines written": wrote,
        "viewers": f"{len(sights)}, {sum(not one.ages_ms for one in sights)} without a live line",
        "connections": f"{counts['opened']} opened, {counts['cut']} cut",
        "messages": f"{counts['came']} came, {counts['lost']} lost, {counts['doubled']} doubled",
        "asked": ", ".join(f"{counts[one]} {one}" for one in ("subscribe", "range", "ping")),
        "resyncs": counts["resync"],
        "fell back": f"{sum(one.fell_back is not None for one in sights)} to polling",
        "lines each saw": f"{min(seen)} to {max(seen)}",
        "age of a line": f"{p50:.0f} ms p50, {p95:.0f} ms p95 (over {len(ages_ms)})",
        "missing": sum(one.verdict.missing for one in sights),
        "doubled": sum(one.verdict.doubled for one in sights),
        "out of order": sum(one.verdict.disordered for one in sights),
        "not as printed": sum(one.verdict.wrong for one in sights),
        "wrong end": sum(one.end != end for one in sights),
        "took": f"{took_s:.0f} s",
    }
    for name, value in rows.items():
        print(f"  {name:<18}{value}")
