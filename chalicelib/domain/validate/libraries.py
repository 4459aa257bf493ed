"""Checks what a workspace names of its libraries. The rest of a library was checked with it."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from chalicelib.domain.libraries import SECTIONS, Library
from chalicelib.domain.parse.report import Report, did_you_mean
from chalicelib.domain.workflow import Definition, Finding


def check_libraries(
    definition: Definition, libraries: Sequence[Library], known: Collection[str], report: Report
) -> None:
    """Refuse an action of a library that the library does not have."""
    names = {library.name for library in libraries}
    for task in definition.tasks.values():
        for step in task.flow.values():
            library = step.action.partition(".")[0]
            if library in names and "." in step.action and step.action not in known:
                fix = did_you_mean(report.nearest(step.action, known))
                path = ("tasks", task.key, "flow", step.key, "action")
                report.error(path, f"the library `{library}` has no action `{step.action}`", fix)


def without_theirs(
    findings: Sequence[Finding], libraries: Sequence[Library]
) -> tuple[Finding, ...]:
    """Return the findings that are about the workspace's own entries."""
    theirs = tuple(f"{section}.{one.name}." for one in libraries for section in SECTIONS)
    return tuple(one for one in findings if not theirs or not one.path.startswith(theirs))
