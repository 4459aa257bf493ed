"""Checks programs: files that `source` names, and template values that land in a shell unquoted.

Values pasted into a script are run as program text: the findings name the safe way, the
environment.
Source: security, S10; workflow language, section 1.2.
"""

from __future__ import annotations

import re
from dataclasses import replace
from posixpath import normpath

from chalicelib.domain.errors import TemplateError
from chalicelib.domain.parse.report import Report, did_you_mean
from chalicelib.domain.sources import Path, WorkspaceTree
from chalicelib.domain.template import has_template, unquoted_in_shell
from chalicelib.domain.validate.names import action_path
from chalicelib.domain.workflow import Action, ActionType, Definition, Language

_WORDS = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def check_scripts(
    definition: Definition, report: Report, tree: WorkspaceTree, *, strict: bool
) -> None:
    """Check the programs of every action."""
    for action in definition.actions.values():
        path = action_path(action)
        if action.source is not None:
            _check_file(action, action.source, (*path, "source"), tree, report)
        if action.cmd is not None:
            _check_shell(action.cmd, (*path, "cmd"), report, strict=strict)
        if action.script is not None and action.type is ActionType.SCRIPT:
            _check_script(action, action.script, path, report, strict=strict)


def _check_script(
    action: Action, script: str, path: Path, report: Report, *, strict: bool
) -> None:
    at = (*path, "script")
    if action.language is Language.SHELL:
        # What the older generation calls `cmd` was read as the script.
        older = (*path, "cmd")
        is_older = report.place(older, of_key=True) != report.place(path, of_key=True)
        _check_shell(script, older if is_older else at, report, strict=strict)
    elif has_template(script):
        reason = f"a template's value becomes part of the {action.language} program"
        fix = 'hand it over in the environment: env: { X: "{{ input.x }}" }'
        (report.error if strict else report.warning)(at, reason, fix)


def _check_shell(script: str, path: Path, report: Report, *, strict: bool) -> None:
    try:
        found = unquoted_in_shell(script)
    except TemplateError:
        return  # the template checks have said so
    place = report.place(path)
    complain = report.error if strict else report.warning
    for line, expression in found:
        where = replace(place, line=place.line + line, column=1) if place.is_block else place
        bare = expression.strip().removeprefix("{{").removesuffix("}}").strip()
        name = (_WORDS.findall(bare.split("|")[0]) or ["value"])[-1].upper()
        reason = f"`{{{{ {bare} }}}}` lands unquoted in a shell script: it runs as program text"
        fix = f'env: {{ {name}: "{{{{ {bare} }}}}" }} and "${name}" in the script, or `| quote`'
        complain(path, reason, fix, where)


def _check_file(
    action: Action, source: str, path: Path, tree: WorkspaceTree, report: Report
) -> None:
    name = normpath(source)
    if name in (".", "..") or name.startswith(("/", "../")):
        return
    found = tree.files.get(name)
    if found is None:
        near = report.nearest(name, tree.files)
        reason = f"there is no file `{name}` in the workspace"
        report.error(path, reason, did_you_mean(near) or "paths count from the workspace's root")
    elif action.language is Language.SHELL and not found.executable:
        reason = f"the file `{name}` is not executable"
        report.warning(path, reason, f"chmod +x {name}")
