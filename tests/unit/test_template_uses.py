"""What the language is used for: step inputs, `when`, `for_each`, questions about a template."""

from __future__ import annotations

import pytest

from chalicelib.domain import template as subject
from chalicelib.domain.errors import TemplateError
from tests.fakes.templates import ORDINARY as CONTEXT

RENDERER = subject.Renderer()


INPUTS = [
    ("plain", "plain"),
    ("{{ input.items }}", [3, 1, 2]),
    (" {{input.obj}} ", {"b": 1, "a": {"z": [1, 2]}}),
    ("{{ input.n }}", "5"),
    ("{{ input.yes }}", "true"),
    ("{{ input.nil }}", ""),
    ("{{ input.items }}!", "[3, 1, 2]!"),
    ("{{ input.items | json_encode() }}", "[3,1,2]"),
    ({"a": "{{ input.n }}"}, {"a": "{{ input.n }}"}),
    (["{{ input.n }}"], ["{{ input.n }}"]),
    (7, 7),
    (None, None),
]


@pytest.mark.parametrize(("value", "expected"), INPUTS)
def test_a_step_input_passes_objects_whole_and_scalars_as_text(value, expected):
    assert RENDERER.render_input(value, CONTEXT) == expected


def test_a_step_input_that_is_missing_is_an_error():
    with pytest.raises(TemplateError, match=r"`input\.q` is not defined"):
        RENDERER.render_input("{{ input.q }}", CONTEXT)


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("{{ input.yes }}", True),
        ("{{ input.no }}", False),
        ("{{ input.name == 'Ada' }}", True),
        ("{{ input.nil }}", False),
        ("", False),
        ("  ", False),
        ("False", False),
        ("0", False),
        ("null", False),
        ("NONE", False),
        (" {{ 'FALSE' }} ", False),
        ("input.name == 'Bob'", True),
        ("0.0", True),
        ("no", True),
    ],
)
def test_when_is_false_for_five_texts_only(source, expected):
    assert RENDERER.is_truthy(source, CONTEXT) is expected


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("{{ input.items | json_encode() }}", [3, 1, 2]),
        ("{{ input.items }}", [3, 1, 2]),
        ('["a", {"b": 1}]', ["a", {"b": 1}]),
        ("{{ range(end=3) | json_encode() }}", [0, 1, 2]),
        ("[]", []),
    ],
)
def test_for_each_takes_json_or_a_path_to_an_array(source, expected):
    assert RENDERER.items(source, CONTEXT) == expected


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("{{ input.name }}", "text that is no JSON"),
        ("{{ input.obj }}", "gives an object"),
        ("{{ input.n }}", "gives a whole number"),
        ("{{ input.q }}", "not defined"),
        ("{{ many }}", "10000 is the most"),
        ("[" * 100_000, "no JSON"),
        ("[NaN]", "no JSON"),
    ],
)
def test_for_each_refuses_all_else(source, reason):
    with pytest.raises(TemplateError, match=reason):
        RENDERER.items(source, {**CONTEXT, "many": [0] * 10_001})


def test_check_finds_what_rendering_would_only_reach_later():
    subject.check("{% if false %}{{ x.y | upper }}{% endif %}")
    with pytest.raises(TemplateError, match="line 2: there is no filter `uppr`"):
        subject.check("{% if false %}\n{{ x | uppr }}{% endif %}")


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("plain", set()),
        ("{{ input.x }}{{ build.output.y[n] }}", {"input", "build", "n"}),
        ("{% if a and not b %}{{ c | default(value=d) }}{% endif %}", {"a", "b", "c", "d"}),
        ("{% for i in items %}{{ i }}{{ loop.index }}{% endfor %}{{ i }}", {"items", "i"}),
        ("{% set x = y %}{{ x }}", {"y"}),
        ("{{ x }}{% set x = 1 %}", {"x"}),
        ("{% for k, v in o %}{% set_global t = v %}{% endfor %}{{ t }}{{ k }}", {"o", "k"}),
        ("{{ range(end=n) }}{{ 'a.b' }}", {"n"}),
        ("{{ x is containing(z) }}", {"x", "z"}),
    ],
)
def test_the_names_that_a_template_reads(source, expected):
    assert subject.names_used(source) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [("{{ a }}", True), ("{% if a %}", True), ("a }} b", False), ("", False), ("${a}", False)],
)
def test_a_text_with_braces_is_a_template(text, expected):
    assert subject.has_template(text) is expected


def test_hyphens_of_a_step_become_underscores():
    assert subject.context_name("say-hello-2") == "say_hello_2"


def test_unquoted_values_in_a_script_are_found():
    script = (
        "echo {{ input.a }} {{ input.b | quote }}\n"
        "{{- input.c | upper | sh -}} {{ 'literal' }} {{ 5 }}\n"
        "{% raw %}{{ not_this }}{% endraw %}{{ input.d | quote | upper }}\n"
        "{{\n  input.e ~ 'x'\n}}"
    )
    found = [(1, "input.a"), (3, "input.d | quote | upper"), (4, "input.e ~ 'x'")]
    assert subject.unquoted_in_shell(script) == found


def test_a_script_that_does_not_parse_has_no_unquoted_values():
    assert subject.unquoted_in_shell("{{ 'a") == []
    assert subject.unquoted_in_shell("{{ a b }}") == []
