"""`./dev bench`: how long the stack takes, beside a plain loop of processes in the same run."""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from benchmarks import live, login
from benchmarks.measure import Figures, Server, measure, plain_spawn_s
from benchmarks.stack import running
from benchmarks.viewers import command as viewers
from benchmarks.workspace import CHAIN, FAN, write_workspace


def main() -> None:
    """Measure each control in turn and print a table; or only what a first word names."""
    if sys.argv[1:2] == ["login"]:
        login.main(sys.argv[2:])
        return
    if sys.argv[1:2] == ["live"]:
        live.main(sys.argv[2:])
        return
    if sys.argv[1:2] == ["viewers"]:
        sys.exit(viewers.main(sys.argv[2:]))
    flags = argparse.ArgumentParser(prog="./dev bench", description=__doc__)
    flags.add_argument("--control", choices=["direct", "http", "both"], default="both")
    flags.add_argument("--first", type=int, default=100, help="jobs for trigger -> first step")
    flags.add_argument("--many", type=int, default=500, help="one-step jobs at once")
    flags.add_argument("--slots", type=int, default=8, help="slots of the one worker")
    loops_help = "instances of the loops, one loop each; 10000 takes minutes"
    flags.add_argument("--loop", type=int, nargs="*", default=[1000], help=loops_help)
    given = flags.parse_args()
    spawn_s = plain_spawn_s(200)
    print(f"one `sh -c true` in a plain loop: {spawn_s * 1000:.2f} ms (the unit of every ratio)")
    controls = ["direct", "http"] if given.control == "both" else [given.control]
    for control in controls:
        with tempfile.TemporaryDirectory(prefix="stroem-bench-") as folder:
            top = Path(folder)
            (top / "workspace").mkdir()
            workspace = write_workspace(top / "workspace")
            options = ("--control", control, "--slots", str(given.slots))
            with running(top / "data", (*options, "--workspace", f"bench={workspace}")) as stack:
                idle = stack.memory_mib()
                figures = measure(Server(stack.url), given.first, given.many, given.loop)
                _report(control, stack.ready_s, idle, stack.memory_mib(), figures, spawn_s)


def _report(
    control: str,
    ready_s: float,
    idle: dict[str, float],
    busy: dict[str, float],
    figures: Figures,
    spawn_s: float,
) -> None:
    print(f"\n{control} control")
    print(f"  stack ready             {ready_s:8.1f} s")
    idle_mib, busy_mib = sum(idle.values()), sum(busy.values())
    print(f"  memory, all processes   {idle_mib:8.0f} MiB idle, {busy_mib:.0f} after")
    for name, size in sorted(busy.items(), key=lambda item: -item[1]):
        print(f"    {name:<40}{size:6.0f} MiB")
    p50, p95 = figures.percentile(0.5), figures.percentile(0.95)
    times = len(figures.first_ms)
    print(f"  trigger -> first step   {p50:8.0f} ms p50, {p95:.0f} ms p95 (over {times})")
    _row(f"chain of {CHAIN} steps", figures.chain_s, CHAIN, spawn_s)
    _row(f"fan-out of {FAN} steps", figures.fan_s, FAN, spawn_s)
    _row(f"{figures.many} one-step jobs", figures.many_s, figures.many, spawn_s)
    for count, took_s in figures.loops_s.items():
        _row(f"loop of {count}", took_s, count, spawn_s)


def _row(name: str, took_s: float, steps: int, spawn_s: float) -> None:
    ratio = took_s / (steps * spawn_s)
    print(
        f"  {name:<24}{took_s:8.2f} s   {steps / took_s:7.1f} steps/s   "
        f"{took_s / steps * 1000:6.1f} ms a step = {ratio:.0f} x a plain process"
    )


if __name__ == "__main__":
    main()
