"""Reads a workspace: files in, a definition or findings out. The one way from YAML to the model.

One error anywhere, and there is no definition: a bad workspace never replaces a good revision
(decision 6).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from chalicelib.domain.errors import Violation, WorkspaceError
from chalicelib.domain.libraries import Library, with_libraries
from chalicelib.domain.parse.definition import parse_definition
from chalicelib.domain.parse.files import merge_files
from chalicelib.domain.parse.report import Report
from chalicelib.domain.sources import WorkspaceTree
from chalicelib.domain.validate.libraries import check_libraries, without_theirs
from chalicelib.domain.validate.workspace import validate
from chalicelib.domain.workflow import Definition, Finding, Severity


@dataclass(frozen=True, slots=True)
class Loaded:
    """What reading gave.

    `definition` is None exactly when a finding is an error; findings go by file and line.
    """

    definition: Definition | None
    findings: tuple[Finding, ...]

    @property
    def ok(self) -> bool:
        """Say whether the workspace can be used."""
        return self.definition is not None

    @property
    def errors(self) -> tuple[Finding, ...]:
        """Return what keeps the workspace from loading."""
        return tuple(f for f in self.findings if f.severity is Severity.ERROR)

    @property
    def warnings(self) -> tuple[Finding, ...]:
        """Return what the workspace loads in spite of."""
        return tuple(f for f in self.findings if f.severity is Severity.WARNING)

    def require(self) -> Definition:
        """Return the definition.

        Raises:
            WorkspaceError: with one violation for each error.
        """
        if self.definition is not None:
            return self.definition
        violations = tuple(
            Violation(f"{f.file}:{f.line}:{f.column}", _said(f)) for f in self.errors
        )
        lines = "; ".join(f"{v.pointer}: {v.message}" for v in violations[:3])
        more = f" (and {len(violations) - 3} more)" if len(violations) > 3 else ""  # noqa: PLR2004
        raise WorkspaceError(f"the workspace does not load: {lines}{more}", violations)


def read_workspace(tree: WorkspaceTree, libraries: Sequence[Library] = ()) -> Loaded:
    """Find, merge, parse and validate the workspace's files. All findings come back at once.

    What the libraries bring is part of the definition; findings are about the workspace's own.
    """
    merged = merge_files(tree)
    report = Report(merged.locate)
    report.extend(merged.findings)
    own = parse_definition(merged, report)
    definition = with_libraries(own, libraries)
    validate(definition, report, tree, strict_scripts=merged.raw.get("strict_scripts") is True)
    check_libraries(own, libraries, definition.actions, report)
    findings = without_theirs(report.findings(), libraries)
    is_bad = any(finding.severity is Severity.ERROR for finding in findings)
    return Loaded(None if is_bad else definition, findings)


def spelled(finding: Finding) -> str:
    """Return the finding as one line: place, path, reason and fix."""
    return f"{finding.file}:{finding.line}:{finding.column}: {_said(finding)}"


def _said(finding: Finding) -> str:
    fix = f" ({finding.fix})" if finding.fix else ""
    path = f"{finding.path}: " if finding.path else ""
    return f"{path}{finding.reason}{fix}"
