"""`./dev chaos`: nothing is lost, nothing runs twice, whatever is killed, stopped or doubled."""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from pathlib import Path
from random import Random

from benchmarks.chaos.book import Verdict, judge
from benchmarks.chaos.day import Day
from benchmarks.chaos.flows import write_workspace
from benchmarks.stack import running

SETTLE_S = 600


def main() -> int:
    """Run it; return the exit code: 1 if something was lost or doubled."""
    flags = argparse.ArgumentParser(prog="./dev chaos", description=__doc__)
    flags.add_argument("--minutes", type=float, default=5.0, help="how long it lasts")
    flags.add_argument("--workers", type=int, default=4, help="worker processes at a time")
    flags.add_argument("--rate", type=float, default=0.5, help="jobs a second")
    flags.add_argument("--seed", type=int, default=1, help="of all that is drawn")
    given = flags.parse_args()
    with tempfile.TemporaryDirectory(prefix="stroem-chaos-") as folder:
        top = Path(folder)
        # Steps run as users of their own, and all of them write here.
        top.chmod(0o711)
        book = top / "book"
        book.mkdir()
        (book / "effects").touch()
        (book / "effects").chmod(0o666)
        (top / "workspace").mkdir()
        write_workspace(top / "workspace", book)
        options = ("--workers", "0", "--workspace", f"chaos={top / 'workspace'}")
        with running(top / "data", options) as stack:
            day = Day(stack, top, Random(given.seed))  # noqa: S311 - to be repeated
            settled_s = day.live(given.workers, given.minutes * 60, given.rate, SETTLE_S)
            verdict = judge(day.engine, day.jobs, book, day.crew.killed_at)
            _report(day, verdict, settled_s)
    return 1 if verdict.lost or verdict.doubled else 0


def _report(day: Day, verdict: Verdict, settled_s: float) -> None:
    times = sorted(verdict.recovered_s)
    p50 = statistics.median(times) if times else 0.0
    p99 = times[min(int(len(times) * 0.99), len(times) - 1)] if times else 0.0
    rows = {
        "jobs": f"{verdict.jobs}, of which {len(day.jobs)} were asked for",
        "outcomes": ", ".join(f"{n} {word}" for word, n in sorted(verdict.outcomes.items())),
        "steps begun": verdict.steps,
        "workers killed": day.crew.kills,
        "workers stopped": f"{day.crew.stops}, for 75 s each",
        "messages doubled": day.doubled,
        "ticks": f"{day.ticks}, and {day.skipped} skipped, {day.twice} doubled",
        "recoveries": verdict.recoveries,
        "recovery": f"{p50:.0f} s p50, {p99:.0f} s p99, from the kill to the next attempt",
        "settled after": f"{settled_s:.0f} s",
        "lost": len(verdict.lost),
        "doubled": len(verdict.doubled),
    }
    for name, value in rows.items():
        print(f"  {name:<18}{value}")
    for line in (*verdict.lost[:20], *verdict.doubled[:20]):
        print(f"    {line}")


if __name__ == "__main__":
    began = time.monotonic()
    code = main()
    print(f"  took {time.monotonic() - began:.0f} s")
    sys.exit(code)
