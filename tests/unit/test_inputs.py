"""The inputs of a job: checked, never converted, with all that is wrong said at once."""

import pytest

from chalicelib.domain.errors import InvalidError
from chalicelib.domain.inputs import check_input
from chalicelib.domain.job import SECRET_MASK
from chalicelib.domain.workflow import Connection, Definition, InputField

NOTHING = Definition()
DATABASES = Definition(
    connections={
        "main": Connection(key="main", type="database"),
        "mail": Connection(key="mail", type="smtp"),
    }
)


def check(given, definition=NOTHING, **fields):
    return check_input(fields, given, definition)


def a_field(kind="string", **given):
    return InputField(type=kind, **given)


def problem(value, definition=NOTHING, kind="string", **field):
    """Return what is said of the one field `x`, or None."""
    try:
        check({"x": value}, definition, x=a_field(kind, **field))
    except InvalidError as error:
        [violation] = error.violations
        assert violation.pointer == "/x"
        return violation.message
    return None


GOOD = [
    ("string", "text"),
    ("string", ""),
    ("text", "two\nlines"),
    ("integer", 0),
    ("integer", -(10**30)),
    ("number", 1),
    ("number", 1.5),
    ("boolean", False),
    ("bool", True),
    ("date", "2026-11-21"),
    ("datetime", "2026-11-21T08:00:00Z"),
]
BAD = [
    ("string", 5, "must be a string, not a number"),
    ("string", True, "must be a string, not true or false"),
    ("text", ["a"], "must be a string, not a list"),
    ("integer", 1.0, "must be a whole number, not a number"),
    ("integer", "5", "must be a whole number, not a string"),
    ("integer", True, "must be a whole number, not true or false"),
    ("number", True, "must be a number, not true or false"),
    ("boolean", 0, "must be true or false, not a number"),
    ("boolean", "true", "must be true or false, not a string"),
    ("date", "21.11.2026", "must be a date such as 2026-11-21, not a string"),
    ("datetime", "noon", "must be a date and time such as 2026-11-21T08:00:00Z, not a string"),
    ("string", {"a": 1}, "must be a string, not an object"),
]


@pytest.mark.parametrize(("kind", "value"), GOOD)
def test_a_value_of_the_declared_type_passes_as_it_is(kind, value):
    checked = check({"x": value}, x=a_field(kind))
    assert checked.shown == {"x": value}
    assert checked.secret == {}


@pytest.mark.parametrize(("kind", "value", "message"), BAD)
def test_a_value_of_another_type_is_refused(kind, value, message):
    assert problem(value, kind=kind) == message


def test_what_no_field_declares_passes_through():
    assert check({"extra": [1, {"a": None}]}).shown == {"extra": [1, {"a": None}]}


def test_a_required_value_must_be_there():
    with pytest.raises(InvalidError) as refused:
        check({}, x=a_field(required=True))
    assert "x: is required" in refused.value.message
    assert problem(None, required=True) == "is required"


def test_a_default_stands_in_for_a_required_value():
    assert check(
        {}, x=a_field(required=True, has_default=True, default=7, kind="integer")
    ).shown == {"x": 7}


def test_a_given_value_wins_over_the_default():
    assert check({"x": "mine"}, x=a_field(has_default=True, default="theirs")).shown == {
        "x": "mine"
    }


def test_a_default_that_is_a_template_is_left_to_the_claim():
    assert (
        check({}, x=a_field(required=True, has_default=True, default="{{ secret.x }}")).shown == {}
    )


def test_a_default_is_checked_like_a_given_value():
    with pytest.raises(InvalidError):
        check({}, x=a_field("integer", has_default=True, default="five"))


def test_options_bound_the_values():
    assert problem("c", options=("a", "b")) == "must be one of: a, b"
    assert problem("a", options=("a", "b")) is None
    assert problem("c", options=("a", "b"), allow_custom=True) is None
    assert problem(5, kind="integer", options=("5", "6")) is None


def test_several_choices_are_a_list_of_options():
    choices = {"options": ("a", "b"), "multiple": True}
    assert problem(["a", "b"], **choices) is None
    assert problem([], **choices) is None
    assert problem("a", **choices) == "must be a list of options, not a string"
    assert problem(["a", 1], **choices) == "must be a list of strings; it holds a number"
    assert problem(["a", "c"], **choices) == "must be one of: a, b"


def test_a_connection_is_named_or_given_whole():
    assert problem("main", DATABASES, kind="database") is None
    assert problem({"host": "h"}, DATABASES, kind="database") is None


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("nope", "names no connection: there is no 'nope'; of type database: main"),
        ("mail", "connection 'mail' is of type smtp, not database"),
        (5, "must be the name of a connection of type database, not a number"),
    ],
)
def test_a_wrong_connection_is_refused_with_the_right_ones(value, said):
    assert problem(value, DATABASES, kind="database") == said


def test_secret_values_are_masked_where_they_are_shown():
    checked = check({"token": "s3cret", "user": "ada"}, token=a_field(secret=True), user=a_field())
    assert checked.shown == {"token": SECRET_MASK, "user": "ada"}
    assert checked.secret == {"token": "s3cret"}


def test_a_secret_that_is_not_given_is_not_made_up():
    checked = check({}, token=a_field(secret=True))
    assert (checked.shown, checked.secret) == ({}, {})


def test_all_that_is_wrong_is_said_at_once_and_never_a_value():
    with pytest.raises(InvalidError) as refused:
        check({"a/b": 5, "c~d": "s3cret"}, **{"a/b": a_field(), "c~d": a_field("integer")})
    assert [v.pointer for v in refused.value.violations] == ["/a~1b", "/c~0d"]
    assert "s3cret" not in refused.value.message
