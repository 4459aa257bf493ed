"""What a workspace is made of before anything is parsed: files by path, and positions in them.

Values only.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

Path: TypeAlias = "tuple[str | int, ...]"


@dataclass(frozen=True, slots=True)
class SourceFile:
    """One file; `executable` is the owner's execute bit."""

    content: bytes
    executable: bool = False


@dataclass(frozen=True, slots=True)
class WorkspaceTree:
    """A workspace's files by relative path: NFC, `/` between the parts, no `.` or `..` part."""

    files: Mapping[str, SourceFile] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Place:
    """Where a value stands, counting from 1.

    `is_block` tells a `|` text, whose first line is the next one.
    """

    file: str
    line: int
    column: int
    is_block: bool = False


def dotted(path: Path) -> str:
    """Return the path as people write it: `tasks.ship.flow.test.depends_on[0]`."""
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            text += f".{part}" if text else part
    return text
