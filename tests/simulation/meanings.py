"""What the simulator's templates mean, said a second time and without the template language.

`values` has the outputs of the steps that completed, by step. A `FAULT` is a template that breaks.
"""

from __future__ import annotations

import re

FAULT = "fault"
_OVER = re.compile(r"\{\{ (\w+)\.output\.n > (\d+) \}\}")
_FIELD = re.compile(r"\{\{ (\w+)\.output\.(\w+) \}\}")


def when_says(text, values, item=None):
    """Return True, False or `FAULT`; `item` is what an instance of a loop goes over."""
    if text in ("true", "false"):
        return text == "true"
    if text == "{{ each.item > 1 }}":
        return FAULT if item is None else item > 1
    found = _OVER.fullmatch(text)
    if found is None:
        return FAULT
    number = field_of(values.get(found[1]), "n")
    return FAULT if number is FAULT else number > int(found[2])


def asks_each(step):
    """Say whether the condition is one of each instance."""
    return step.for_each is not None and step.when is not None and "each." in step.when


def items_of(step, values):
    """Return the list that the loop goes over, or `FAULT`."""
    if isinstance(step.for_each, list):
        return step.for_each
    found = _FIELD.fullmatch(step.for_each)
    value = field_of(values.get(found[1]), found[2])
    return value if isinstance(value, list) else FAULT


def field_of(output, name):
    """Return what an output has under a name, or `FAULT`."""
    return output[name] if isinstance(output, dict) and name in output else FAULT


def instance_step(name):
    """Return the step of the flow that a step or an instance belongs to."""
    return name.partition("[")[0]
