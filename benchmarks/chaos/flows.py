"""The flows that chaos is let loose on. Every script writes itself into a book outside the engine.

The one rule: a flow may be retried by its policies and by nothing else, so that the book, the
records and the outputs must agree.
"""

from __future__ import annotations

import json
from pathlib import Path

# Adds `job/step attempt` to the book before anything else: one short line, so whole at once.
_WRITE = 'echo "$STROEM_IDEMPOTENCY_KEY $STROEM_ATTEMPT" >> {book}\n'
_WORK = _WRITE + 'sleep "$NAP"\necho "OUTPUT: {{\\"by\\": \\"$STROEM_STEP_NAME\\"}}"\n'
# Fails when the output of the step before is not what that step printed.
_CHECK = _WRITE + 'sleep "$NAP"\ntest "$GOT" = "$WANTED" || exit 9\n'
_RETRY = {"max_attempts": 10, "delay": 1}

# How often each is started, and the step whose message is doubled now and then.
WEIGHTS = {"one": (3, "only"), "chain": (3, "first"), "fan": (2, "root"), "loop": (2, "each[0]"),
           "parent": (1, "child")}  # fmt: skip


def write_workspace(folder: Path, book: Path) -> None:
    """Write the workspace; its steps write into the folder `book`."""
    place = str(book / "effects")
    nap = {"nap": "{{ input.nap }}"}
    actions = {
        "work": {"type": "script", "script": _WORK.format(book=place), "retry": _RETRY,
                 "env": {"NAP": "{{ input.nap }}"}},
        "check": {"type": "script", "script": _CHECK.format(book=place), "retry": _RETRY,
                  "env": {"NAP": "{{ input.nap }}", "GOT": "{{ input.got }}",
                          "WANTED": "{{ input.wanted }}"}},
    }  # fmt: skip

    def checked(got: str, wanted: str, *needs: str) -> dict:
        return {"action": "check", "depends_on": list(needs),
                "input": {**nap, "got": got, "wanted": wanted}}  # fmt: skip

    leaves = {
        f"leaf{n}": {"action": "work", "depends_on": ["root"], "input": nap} for n in range(4)
    }
    tasks = {
        "one": {"only": {"action": "work", "input": nap}},
        "chain": {
            "first": {"action": "work", "input": nap},
            "second": checked("{{ first.output.by }}", "first", "first"),
            "third": {"action": "work", "depends_on": ["second"], "input": nap},
            "fourth": checked("{{ third.output.by }}", "third", "third"),
        },
        "fan": {
            "root": {"action": "work", "input": nap},
            **leaves,
            "join": checked("{{ leaf0.output.by }}{{ leaf3.output.by }}", "leaf0leaf3", *leaves),
        },
        "loop": {
            "each": {
                "action": "work",
                "for_each": [1, 2, 3, 4, 5],
                "max_parallel": 3,
                "input": nap,
            },
            "count": checked("{{ each.output | length }}", "5", "each"),
        },
        "parent": {
            "child": {"type": "task", "task": "chain", "input": nap},
            "after": {"action": "work", "depends_on": ["child"], "input": nap},
        },
    }
    fields = {"nap": {"type": "string", "default": "0.2"}}
    flows = {name: {"input": fields, "flow": flow} for name, flow in tasks.items()}
    (folder / "chaos.yaml").write_text(json.dumps({"actions": actions, "tasks": flows}, indent=1))
