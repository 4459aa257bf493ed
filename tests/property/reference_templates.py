"""What the few templates mean that the generated workspaces use, without a template language.

`outputs` has what each completed step gave. Source: workflow language, sections 1.6 and 1.7.
"""

FAULT = "fault"
BROKEN = "{{ nosuch.thing }}"
OVER_ONE = "{{ each.item > 1 }}"


def field_of(step, name):
    """Return the template that reads a field of a step's output."""
    return f"{{{{ {step}.output.{name} }}}}"


def when_says(text, outputs, item=None):
    """Return True, False or `FAULT`; `item` is what an instance of a loop goes over."""
    if text in ("true", "false"):
        return text == "true"
    if text == OVER_ONE:
        return item > 1
    return _read(text, outputs)


def items_of(given, outputs):
    """Return the list that a loop goes over, or `FAULT`."""
    found = given if isinstance(given, list) else _read(given, outputs)
    return found if isinstance(found, list) else FAULT


def asks_each(rule):
    """Say whether the condition is asked of every instance of a loop."""
    return rule.get("for_each") is not None and rule.get("when") == OVER_ONE


def _read(text, outputs):
    step, _, name = text.strip("{ }").partition(".output.")
    output = outputs.get(step)
    return output.get(name, FAULT) if isinstance(output, dict) else FAULT
