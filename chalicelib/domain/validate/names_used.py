"""Checks one template in one place.

That it parses, and that what it reads is there when it is rendered.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from chalicelib.domain.errors import TemplateError
from chalicelib.domain.parse.report import Report, did_you_mean
from chalicelib.domain.sources import Path
from chalicelib.domain.template import check, has_template, names_used
from chalicelib.domain.values import JsonObject

# A name that the place does not have, answered with why and what to do; None leaves it to the
# plain warning.
Explain = Callable[[str], "tuple[str, str] | None"]
# The name is there after all.
NO_FINDING = ("", "")


@dataclass(frozen=True, slots=True)
class Context:
    """What a template may read in some place. `explain` is asked about any other name."""

    names: frozenset[str]
    explain: Explain = lambda _: None


def check_template(path: Path, text: str, context: Context, report: Report) -> None:
    """Refuse a template that does not parse, warn of names that it will not find."""
    if not has_template(text):
        return
    try:
        check(text)
        names = names_used(text)
    except TemplateError as error:
        why = error.message.removeprefix("template error: ")
        report.error(path, f"the template does not parse: {why}")
        return
    for name in sorted(names - context.names):
        explained = context.explain(name)
        if explained is not None:
            if explained != NO_FINDING:
                report.warning(path, *explained)
            continue
        listed = ", ".join(f"`{known}`" for known in sorted(context.names)) or "nothing"
        reason = f"`{name}` is not known here: a template in this place reads {listed}"
        report.warning(path, reason, did_you_mean(report.nearest(name, context.names)))


def check_strings(path: Path, value: object, context: Context, report: Report) -> None:
    """Check every text below, however deep."""
    for at, text in _strings_in(value, path):
        check_template(at, text, context, report)


def check_input_values(path: Path, values: JsonObject, context: Context, report: Report) -> None:
    """Check the inputs of a step or a hook, of which only whole texts are rendered."""
    for name, value in values.items():
        if isinstance(value, str):
            check_template((*path, name), value, context, report)
            continue
        for at, text in _strings_in(value, (*path, name)):
            if has_template(text):
                reason = "stays as it is written: only texts directly under `input` are rendered"
                fix = 'render the whole value as one text, as in "{{ build.output.list }}"'
                report.warning(at, reason, fix)


def _strings_in(value: object, path: Path) -> Iterator[tuple[Path, str]]:
    if isinstance(value, str):
        yield path, value
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from _strings_in(item, (*path, key))
    elif isinstance(value, list | tuple):
        for index, item in enumerate(value):
            yield from _strings_in(item, (*path, index))
