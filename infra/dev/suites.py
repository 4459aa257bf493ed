"""Run the test suites, one pytest each, and say at the end how many tests of each kind ran.

One rule: a suite that ran no test has failed.
"""

import os
import subprocess
import tempfile
import time
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from infra.dev.command_line import SUITES
from infra.dev.environment import DEVELOPMENT, ROOT
from infra.local import emulator, parts

# Two processes where tests compute or wait on their own; the simulation has processes of its own.
# The files of e2e stay whole: the tests of one share a stack.
SPREAD = {
    "unit": ("-n", "2"),
    "property": ("-n", "2"),
    "contract": ("-n", "2"),
    "e2e": ("-n", "2", "--dist", "loadfile"),
}


@dataclass(frozen=True)
class Outcome:
    """How one suite ended; `failed` counts errors too."""

    suite: str
    passed: int
    failed: int
    skipped: int
    seconds: float

    @property
    def is_good(self) -> bool:
        return self.failed == 0 and self.passed > 0


def run(suite: str, rest: list[str]) -> int:
    """Run one suite, or all of them, with `rest` as pytest's arguments; return the exit code."""
    chosen = SUITES if suite == "all" else (suite,)
    outcomes = [_run_one(name, rest) for name in chosen]
    print(f"\n{'suite':<12}{'passed':>8}{'failed':>8}{'skipped':>9}{'seconds':>9}")
    for o in outcomes:
        note = "" if o.is_good or o.failed else "   ran no test"
        print(f"{o.suite:<12}{o.passed:>8}{o.failed:>8}{o.skipped:>9}{o.seconds:>9.1f}{note}")
    passed, failed, skipped = (
        sum(getattr(o, kind) for o in outcomes) for kind in ("passed", "failed", "skipped")
    )
    print(f"\n{passed} passed, {failed} failed, {skipped} skipped", flush=True)
    return 0 if all(o.is_good for o in outcomes) else 1


def _run_one(suite: str, rest: list[str]) -> Outcome:
    print(f"\n== {suite}", flush=True)
    began = time.monotonic()
    spread = SPREAD.get(suite, ())
    with (
        tempfile.TemporaryDirectory(prefix="stroem-test-") as scratch,
        _service(suite, Path(scratch)) as extra,
    ):
        report = Path(scratch) / "report.xml"
        command = [str(DEVELOPMENT / "bin" / "python"), "-m", "pytest", f"tests/{suite}", *spread]
        code = subprocess.call(
            [*command, f"--junitxml={report}", *rest], cwd=ROOT, env={**os.environ, **extra}
        )
        return _outcome(suite, report, code, time.monotonic() - began)


def _outcome(suite: str, report: Path, code: int, seconds: float) -> Outcome:
    totals = {"tests": 0, "failures": 0, "errors": 0, "skipped": 0}
    if report.exists():
        for element in ET.parse(report).getroot().iter("testsuite"):  # noqa: S314 - pytest wrote it just now
            totals = {key: totals[key] + int(element.get(key, 0)) for key in totals}
    failed = totals["failures"] + totals["errors"]
    passed = totals["tests"] - failed - totals["skipped"]
    # pytest fails in ways that no test shows: a broken conftest, an interrupt.
    ended_badly = code not in {0, 5} and not failed
    return Outcome(suite, passed, failed + ended_badly, totals["skipped"], seconds)


@contextmanager
def _service(suite: str, scratch: Path) -> Iterator[dict[str, str]]:
    """Give the contract suite an emulator of its own and yield what its environment needs."""
    if suite != "contract" or "EMULATOR_URL" in os.environ:
        yield {}
        return
    port = parts.free_port()
    part = emulator.start(scratch, scratch / "emulator.log", port)
    try:
        emulator.wait(part, emulator.endpoint(port))
        yield {"EMULATOR_URL": emulator.endpoint(port)}
    finally:
        parts.stop([part], emulator.STOP_S)
