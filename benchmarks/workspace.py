"""The workspace that the benchmarks run: flows of steps that do nothing, in three shapes."""

from __future__ import annotations

import json
from pathlib import Path

CHAIN = 40
FAN = 100


def write_workspace(folder: Path) -> Path:
    """Write the workspace into an empty folder and return it. JSON is YAML too."""
    actions = {
        "nothing": {"type": "script", "script": "true"},
        # The time at which the user's own code runs, in milliseconds since 1970.
        "clock": {"type": "script", "script": 'echo "OUTPUT: $(date +%s%3N)"'},
    }
    chain = {
        f"s{number:02d}": {
            "action": "nothing",
            "depends_on": [f"s{number - 1:02d}"] if number else [],
        }
        for number in range(CHAIN)
    }
    fan = {f"s{number:03d}": {"action": "nothing"} for number in range(FAN)}
    tasks = {
        "first": {"flow": {"step": {"action": "clock"}}},
        "one": {"flow": {"step": {"action": "nothing"}}},
        "chain": {"flow": chain},
        "fan": {"flow": fan},
        "loop": {
            "input": {"count": {"type": "integer", "required": True}},
            "flow": {
                "step": {
                    "action": "nothing",
                    "for_each": "{{ range(end=input.count) | json_encode() }}",
                }
            },
        },
    }
    (folder / "bench.yaml").write_text(json.dumps({"actions": actions, "tasks": tasks}, indent=1))
    return folder
