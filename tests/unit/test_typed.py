"""Text that a template gave becomes a value of the field's type where it spells one."""

import pytest

from chalicelib.domain.typed import typed
from chalicelib.domain.workflow import InputField


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        ("integer", " -7\n", -7),
        ("integer", "7.0", "7.0"),
        ("integer", "", ""),
        ("integer", "9" * 65, "9" * 65),
        ("integer", "٣", "٣"),
        ("number", "7", 7),
        ("number", "2.5e3", 2500.0),
        ("number", "nan", "nan"),
        ("boolean", "True", True),
        ("bool", "false", False),
        ("boolean", "yes", "yes"),
        ("string", "7", "7"),
        ("date", "2026-11-21", "2026-11-21"),
    ],
)
def test_text_is_read_as_the_type_or_stays_text(kind, text, value):
    found = typed(InputField(type=kind), text)
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    ("text", "value"),
    [('["a", "b"]', ["a", "b"]), ("a", "a"), ('{"a": 1}', '{"a": 1}'), ("[" * 9999, "[" * 9999)],
)
def test_a_choice_of_several_is_read_from_a_json_list(text, value):
    assert typed(InputField(multiple=True, options=("a", "b")), text) == value
