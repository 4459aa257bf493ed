"""Which texts may name what."""

from __future__ import annotations

import re

_WORKSPACE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")


def is_workspace_name(text: str) -> bool:
    """Say whether the text may name a workspace: it becomes part of keys and of addresses."""
    return _WORKSPACE.fullmatch(text) is not None
