"""Says everything that is wrong with a whole definition.

References, graphs, schedules, templates, files.

Each check is a function over the definition that writes to the report; none raises, none depends
on another.
"""

from __future__ import annotations

from chalicelib.domain.parse.report import Report
from chalicelib.domain.sources import WorkspaceTree
from chalicelib.domain.validate.flow import check_flows
from chalicelib.domain.validate.names import check_collisions
from chalicelib.domain.validate.nesting import check_nesting
from chalicelib.domain.validate.references import check_references
from chalicelib.domain.validate.scripts import check_scripts
from chalicelib.domain.validate.secrets import check_secrets
from chalicelib.domain.validate.templates import check_templates
from chalicelib.domain.validate.triggers import check_triggers
from chalicelib.domain.validate.webhooks import check_webhooks
from chalicelib.domain.workflow import Definition


def validate(
    definition: Definition, report: Report, tree: WorkspaceTree, *, strict_scripts: bool = False
) -> None:
    """Run every check. With `strict_scripts`, values that become program text are errors."""
    check_collisions(definition, report)
    check_references(definition, report)
    check_flows(definition, report)
    check_nesting(definition, report)
    check_triggers(definition, report)
    check_webhooks(definition, report)
    check_templates(definition, report)
    check_secrets(definition, report)
    check_scripts(definition, report, tree, strict=strict_scripts)
