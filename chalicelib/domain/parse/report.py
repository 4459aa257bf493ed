"""Collects findings while a workspace is read.

Owns where they point and how near names are guessed.
"""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches
from typing import Protocol

from chalicelib.domain.sources import Path, Place, dotted
from chalicelib.domain.workflow import Finding, Severity

MAX_FINDINGS = 1_000
_MAX_CANDIDATES = 1_000


class Locate(Protocol):
    """Finds where a path stands; `of_key` asks for its key rather than its value."""

    def __call__(self, path: Path, *, of_key: bool = False) -> Place:
        """Return the place of the path, or of the nearest above it."""
        ...


class Report:
    """The findings so far.

    After `MAX_FINDINGS` only a count is kept: a broken file must not cost minutes.
    """

    def __init__(self, locate: Locate) -> None:
        self._locate = locate
        self._findings: list[Finding] = []
        self._dropped = 0

    def place(self, path: Path, *, of_key: bool = False) -> Place:
        """Return where the path stands; see `YamlDocument.place`."""
        return self._locate(path, of_key=of_key)

    def error(
        self, path: Path, reason: str, fix: str | None = None, at: Place | None = None
    ) -> None:
        """Add what keeps the workspace from loading."""
        self._add(Severity.ERROR, path, reason, fix, at)

    def warning(
        self, path: Path, reason: str, fix: str | None = None, at: Place | None = None
    ) -> None:
        """Add what the workspace loads in spite of."""
        self._add(Severity.WARNING, path, reason, fix, at)

    def extend(self, findings: Iterable[Finding]) -> None:
        """Add findings that know their places already."""
        for finding in findings:
            self._keep(finding)

    def findings(self) -> tuple[Finding, ...]:
        """Return all, in the order of files and lines."""
        found = sorted(set(self._findings), key=_sort_key)
        if self._dropped:
            reason = f"{self._dropped} more findings are not shown"
            severity = Severity.ERROR
            found.append(Finding(found[-1].file, found[-1].line, 1, severity, "", reason))
        return tuple(found)

    def nearest(self, name: str, known: Iterable[str]) -> str | None:
        """Return the known name that `name` is most likely a slip of, or None."""
        names = list(known)
        if self._dropped or len(names) > _MAX_CANDIDATES:
            return None
        return next(iter(get_close_matches(name, names, n=1, cutoff=0.6)), None)

    def _add(
        self, severity: Severity, path: Path, reason: str, fix: str | None, at: Place | None
    ) -> None:
        where = at or self._locate(path)
        self._keep(
            Finding(where.file, where.line, where.column, severity, dotted(path), reason, fix)
        )

    def _keep(self, finding: Finding) -> None:
        if len(self._findings) < MAX_FINDINGS:
            self._findings.append(finding)
        else:
            self._dropped += 1


def _sort_key(finding: Finding) -> tuple[str, int, int, str, str, str]:
    return (
        finding.file,
        finding.line,
        finding.column,
        finding.severity,
        finding.path,
        finding.reason,
    )


def did_you_mean(name: str | None) -> str | None:
    """Return the fix that offers the nearest name, or None if there is none."""
    return f"did you mean `{name}`?" if name else None
