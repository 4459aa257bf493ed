"""Inputs as a form shows them: those of a task, and what an approval asks for."""

from __future__ import annotations

from chalicelib.api.shapes import MaybeJson, MaybeNumber, MaybeText, Shape
from chalicelib.domain.job import SECRET_MASK
from chalicelib.domain.workflow import InputField


class InputShape(Shape):
    """One input, for a form."""

    type: str
    name: MaybeText
    description: MaybeText
    required: bool
    secret: bool
    default: MaybeJson
    options: list[str]
    allow_custom: bool
    multiple: bool
    order: MaybeNumber


def input_of(field: InputField) -> InputShape:
    """Return the input; a secret's default is masked."""
    hidden = field.secret and field.default is not None
    return InputShape(
        type=field.type,
        name=field.name,
        description=field.description,
        required=field.required,
        secret=field.secret,
        default=SECRET_MASK if hidden else field.default,
        options=list(field.options),
        allow_custom=field.allow_custom,
        multiple=field.multiple,
        order=field.order,
    )
