"""Contexts that template tests render in."""

from __future__ import annotations

# Small values to climb out of, and large ones to multiply.
HOSTILE = {
    "s": "text",
    "n": 5,
    "l": [1, 2],
    "o": {"a": 1},
    "fmt": "{0.__class__.__mro__}",
    "big": [{"i": i, "s": "x" * 20} for i in range(10_000)],
    "numbers": list(range(10_000)),
    "long": "a" * 200_000,
    "angles": "<" * 200_000,
    "comments": "<!--" * 50_000,
}

# What the templates of an ordinary step read.
ORDINARY = {
    "input": {
        "name": "Ada",
        "n": 5,
        "f": 1.0,
        "half": 1.5,
        "big": 1e20,
        "small": 1e-7,
        "yes": True,
        "no": False,
        "nil": None,
        "empty": "",
        "items": [3, 1, 2],
        "keys": "a key called keys",
        "a-b": "hyphen",
        "obj": {"b": 1, "a": {"z": [1, 2]}},
        "rows": [{"k": "x", "v": 1}, {"k": "y", "v": 2}],
    },
    "secret": {"TOKEN": "hunter2-do-not-show"},
    "say_hello": {"output": {"v": 1}},
}
