"""The job that is watched: what it prints, and how it says so.

One rule: no two lines of it are alike, so each line that is seen can be held against the one that
was printed.
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import NamedTuple

TASK = "write"
# The first connection, message and push of a stack start processes, which takes seconds.
WARM_UP = "warm_up"
# Attempts of each step, one step after the other; all but the last attempt fail.
ATTEMPTS = {"steady": 1, "again": 2}
# Before the first line, so that there are viewers who wait for it.
LEAD_S = 3.0
_PAUSE_S = 0.25
_SCRIPT = """sleep {lead_s}
n=0
while [ $n -lt {count} ]; do
  last=$((n + {batch}))
  if [ $last -gt {count} ]; then last={count}; fi
  seq -f "$STROEM_STEP_NAME $STROEM_ATTEMPT: line %.0f of {count}, på Strøm" $((n + 1)) $last
  n=$last
  sleep {pause_s}
done
test "$STROEM_ATTEMPT" = {attempts}
"""


class Printed(NamedTuple):
    """A line as it was printed; `number` counts from 1 in its attempt."""

    attempt: int
    number: int
    text: str


def write_workspace(folder: Path, lines: int, seconds: float) -> None:
    """Write a workspace whose task prints so many lines in about so many seconds."""
    flow: dict[str, dict[str, object]] = {}
    for step, attempts in ATTEMPTS.items():
        count, lasts_s = _count(step, lines), seconds / len(ATTEMPTS) / attempts
        script = _SCRIPT.format(
            lead_s=0 if flow else LEAD_S,
            count=count,
            batch=math.ceil(count * _PAUSE_S / lasts_s),
            pause_s=_PAUSE_S,
            attempts=attempts,
        )
        retry = {"retry": {"max_attempts": attempts, "delay": 1}} if attempts > 1 else {}
        before = {"depends_on": list(flow)[-1:]}
        flow[step] = {"type": "script", "script": script, **before, **retry}
    warm_up = {"step": {"type": "script", "script": "for i in 1 2 3 4; do echo $i; sleep 1; done"}}
    content = json.dumps({"tasks": {TASK: {"flow": flow}, WARM_UP: {"flow": warm_up}}}, indent=1)
    (folder / "viewers.yaml").write_text(content)


def printed(lines: int) -> dict[str, list[Printed]]:
    """Return what each step prints in all, in order."""
    return {
        step: [
            Printed(attempt, number, f"{step} {attempt}: line {number} of {count}, på Strøm")
            for attempt in range(1, attempts + 1)
            for number in range(1, count + 1)
        ]
        for step, attempts in ATTEMPTS.items()
        if (count := _count(step, lines))
    }


def _count(step: str, lines: int) -> int:
    """Return how many lines each attempt of a step writes: steps share them, and attempts."""
    return max(1, lines // len(ATTEMPTS) // ATTEMPTS[step])
