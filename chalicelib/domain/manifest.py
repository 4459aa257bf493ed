"""What a workspace's state is made of, each part by a digest, and how two states differ.

Source: command line, `stroem workspace diff`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256

from chalicelib.domain.dump import dump
from chalicelib.domain.libraries import DIRECTORY
from chalicelib.domain.sources import WorkspaceTree
from chalicelib.domain.values import JsonValue
from chalicelib.domain.workflow import INLINE_PREFIX, Definition

SECTIONS = ("tasks", "actions", "triggers", "connections")
FILES = "files"
Manifest = dict[str, dict[str, str]]


@dataclass(frozen=True, slots=True)
class Change:
    """What one section has more, has otherwise, and has no more, each in alphabetical order."""

    added: tuple[str, ...]
    changed: tuple[str, ...]
    removed: tuple[str, ...]

    def __bool__(self) -> bool:
        """Say whether there is any."""
        return bool(self.added or self.changed or self.removed)


def manifest_of(definition: Definition, tree: WorkspaceTree) -> Manifest:
    """Return a digest of each task, action, trigger, connection and file of the workspace's own.

    A step's inline action is part of its task.
    """
    whole = dump(definition)["definition"]
    said: Mapping[str, JsonValue] = whole if isinstance(whole, dict) else {}
    found: Manifest = {}
    for section in SECTIONS:
        entries = said.get(section) or {}
        named = entries if isinstance(entries, dict) else {}
        found[section] = {
            name: _digest([value, _inline(said, name) if section == "tasks" else None])
            for name, value in named.items()
            if "." not in name and not name.startswith(INLINE_PREFIX)
        }
    found[FILES] = {
        path: sha256((b"x" if file.executable else b"-") + file.content).hexdigest()
        for path, file in tree.files.items()
        if not path.startswith(DIRECTORY)
    }
    return found


def changes(before: Manifest, after: Manifest) -> dict[str, Change]:
    """Return how each section of the later state differs from the earlier one."""
    return {
        section: _change(before.get(section, {}), after.get(section, {}))
        for section in (*SECTIONS, FILES)
    }


def _change(before: Mapping[str, str], after: Mapping[str, str]) -> Change:
    return Change(
        added=tuple(sorted(after.keys() - before.keys())),
        changed=tuple(sorted(n for n in after.keys() & before.keys() if after[n] != before[n])),
        removed=tuple(sorted(before.keys() - after.keys())),
    )


def _inline(said: Mapping[str, JsonValue], task: str) -> JsonValue:
    actions = said.get("actions")
    prefix = f"{INLINE_PREFIX}{task}:"
    named = actions if isinstance(actions, dict) else {}
    return {name: value for name, value in named.items() if name.startswith(prefix)}


def _digest(value: JsonValue) -> str:
    return sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()
