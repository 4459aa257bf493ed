"""Reads the corpora: a text in JSON on each line; those after `#` are for people."""

from __future__ import annotations

import json
from pathlib import Path

FOLDER = Path(__file__).parent


def corpus(name):
    """The entries of a corpus, in order."""
    lines = (FOLDER / f"{name}.txt").read_text().splitlines()
    return [json.loads(line) for line in lines if not line.startswith("#")]
