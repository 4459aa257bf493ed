"""Every filter, test and function: what it gives, and that it stands in the reference page."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest

from chalicelib.domain.errors import TemplateError
from chalicelib.domain.template import Functions, Renderer
from chalicelib.domain.template import filters as template_filters
from chalicelib.domain.template import limits as template_limits
from chalicelib.domain.template import tests as template_tests

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "templates.md"
CONTEXT = {
    "nil": None,
    "obj": {"b": 1, "a": "x"},
    "rows": [
        {"n": "b", "v": 2, "in": {"d": 1}},
        {"n": "a", "v": 1, "in": {"d": 2}},
        {"n": "c", "v": 2, "in": {"d": None}},
    ],
    "html": "<p>a</p> <!-- c > d --> <b>b</b> <",
}
FILTERS = {
    "upper": [("'aé' | upper", "AÉ")],
    "lower": [("'AÉ' | lower", "aé")],
    "trim": [("('  a ' | trim) ~ '|'", "a|")],
    "trim_start": [("(' a ' | trim_start) ~ '|'", "a |")],
    "trim_end": [("(' a ' | trim_end) ~ '|'", " a|")],
    "trim_start_matches": [
        ("'ababc' | trim_start_matches(pat='ab')", "c"),
        ("'a' | trim_start_matches(pat='')", "a"),
    ],
    "trim_end_matches": [("'c//' | trim_end_matches(pat='/')", "c")],
    "truncate": [
        ("'hello' | truncate(length=2)", "he…"),
        ("'hello' | truncate(length=2, end='')", "he"),
        ("'hello' | truncate", "hello"),
    ],
    "wordcount": [("' a  b\tc ' | wordcount", "3")],
    "replace": [
        ("'aXbX' | replace(from='X', to='--')", "a--b--"),
        ("'ab' | replace(from='', to='-')", "-a-b-"),
    ],
    "capitalize": [("'hELLO you' | capitalize", "Hello you")],
    "title": [('"it\'s a DAY" | title', "It's A Day")],
    "linebreaksbr": [("text | linebreaksbr", "a<br>b<br>")],
    "indent": [
        ("text | indent", "a\n    b"),
        ("text | indent(prefix='> ', first=true)", "> a\n> b"),
    ],
    "striptags": [("html | striptags", "a  b <")],
    "spaceless": [("'<a> <b>x </b>  </a>' | spaceless", "<a><b>x </b></a>")],
    "urlencode": [("'/a b?c=é&d~' | urlencode", "/a%20b%3Fc%3D%C3%A9%26d~")],
    "urlencode_strict": [("'/a_b.c-d~' | urlencode_strict", "%2Fa%5Fb%2Ec%2Dd%7E")],
    "escape": [("`<a href='/'>\"&` | escape", "&lt;a href=&#x27;&#x2F;&#x27;&gt;&quot;&amp;")],
    "escape_xml": [("`<a>'\"&` | escape_xml", "&lt;a&gt;&apos;&quot;&amp;")],
    "slugify": [("' Strøm & Æbler, 2! ' | slugify", "strom-aebler-2")],
    "addslashes": [("`a'b\"c\\d` | addslashes", "a\\'b\\\"c\\\\d")],
    "split": [
        ("'a,b,,c' | split(pat=',') | json_encode", '["a","b","","c"]'),
        (r"text | split(pat='\n') | length", "3"),
        ("'ab' | split(pat='') | json_encode", '["","a","b",""]'),
    ],
    "quote": [
        ('"it\'s" | quote', "'it'\"'\"'s'"),
        ("'$(rm -rf /)' | quote", "'$(rm -rf /)'"),
        ("'' | quote", "''"),
        ("5 | quote", "5"),
        ("true | quote", "true"),
        ("['a b', 1] | quote", "'[a b, 1]'"),
    ],
    "sh": [("'a b;c' | sh", "'a b;c'")],
    "int": [
        ("'42' | int", "42"),
        ("' -7 ' | int", "-7"),
        ("'3.9' | int", "3"),
        ("-3.9 | int", "-3"),
        ("'x' | int", "0"),
        ("'x' | int(default=9)", "9"),
        ("'0xff' | int(base=16)", "255"),
        ("'101' | int(base=2)", "5"),
        ("'1_0' | int(default=3)", "3"),
        ("'99999999999999999999' | int(default=1)", "1"),
    ],
    "float": [
        ("'1.25' | float", "1.25"),
        ("'x' | float(default=2.5)", "2.5"),
        ("3 | float", "3"),
        ("'inf' | float", "0"),
    ],
    "first": [("[1, 2] | first", "1"), ("([] | first) ~ '|'", "|")],
    "last": [("[1, 2] | last", "2"), ("([] | last) ~ '|'", "|")],
    "nth": [("[1, 2] | nth(n=1)", "2"), ("([] | nth(n=3)) ~ '|'", "|")],
    "join": [("[1, 'a', true] | join(sep=', ')", "1, a, true"), ("[1, 2] | join", "12")],
    "sort": [
        ("[3, 1.5, 2] | sort", "[1.5, 2, 3]"),
        ("['b', 'a'] | sort", "[a, b]"),
        ("rows | sort(attribute='n') | map(attribute='n')", "[a, b, c]"),
        ("rows | sort(attribute='v') | map(attribute='n')", "[a, b, c]"),
        ("[] | sort", "[]"),
    ],
    "unique": [
        ("['a', 'A', 'b'] | unique", "[a, b]"),
        ("['a', 'A', 'a'] | unique(case_sensitive=true)", "[a, A]"),
        ("rows | unique(attribute='v') | map(attribute='n')", "[b, a]"),
        ("[1, 1.0, 2] | unique", "[1, 2]"),
    ],
    "slice": [
        ("[1, 2, 3, 4] | slice(start=1, end=3)", "[2, 3]"),
        ("[1, 2, 3, 4] | slice(start=-2)", "[3, 4]"),
        ("[1, 2, 3] | slice(end=-1)", "[1, 2]"),
        ("[1, 2] | slice(start=5)", "[]"),
    ],
    "group_by": [
        ("rows | group_by(attribute='v') | get(key='2') | map(attribute='n')", "[b, c]"),
        ("rows | group_by(attribute='in.d') | length", "2"),
    ],
    "filter": [
        ("rows | filter(attribute='v', value=2) | map(attribute='n')", "[b, c]"),
        ("rows | filter(attribute='in.d') | length", "2"),
        ("rows | filter(attribute='q', value=1)", "[]"),
    ],
    "map": [("rows | map(attribute='in.d')", "[1, 2]"), ("rows | map(attribute='q')", "[]")],
    "concat": [
        ("[1] | concat(with=[2, 3])", "[1, 2, 3]"),
        ("[1] | concat(with='a')", "[1, a]"),
    ],
    "abs": [("-3 | abs", "3"), ("-1.5 | abs", "1.5")],
    "pluralize": [
        ("1 | pluralize", ""),
        ("2 | pluralize", "s"),
        ("-1 | pluralize(singular='y', plural='ies')", "y"),
        ("0 | pluralize(singular='y', plural='ies')", "ies"),
    ],
    "round": [
        ("2.5 | round", "3"),
        ("-2.5 | round", "-3"),
        ("2.1 | round(method='ceil')", "3"),
        ("2.9 | round(method='floor')", "2"),
        ("3.14159 | round(precision=2)", "3.14"),
        ("1234 | round(precision=-2)", "1200"),
        ("7 | round", "7"),
    ],
    "filesizeformat": [
        ("500 | filesizeformat", "500 B"),
        ("1024 | filesizeformat", "1 kB"),
        ("123456789 | filesizeformat", "117.74 MB"),
        ("123456789 | filesizeformat(binary=true)", "117.74 MiB"),
    ],
    "length": [("'héj' | length", "3"), ("[1, 2] | length", "2"), ("obj | length", "2")],
    "reverse": [("'abc' | reverse", "cba"), ("[1, 2] | reverse", "[2, 1]")],
    "date": [
        ("1482720453 | date", "2016-12-26"),
        ("1482720453 | date(format='%Y-%m-%d %H:%M')", "2016-12-26 02:47"),
        ("'2019-09-19T01:48:44.581Z' | date(timezone='America/New_York')", "2019-09-18"),
        ("'1996-12-19T16:39:57-08:00' | date(format='%Y-%m-%d %z')", "1996-12-19 -0800"),
        (
            "'2017-03-05' | date(format='%a, %d %b %Y %H:%M:%S %:z %Z')",
            "Sun, 05 Mar 2017 00:00:00 +00:00 UTC",
        ),
        (
            "'2017-03-05T14:05:09' | date(format='%-d.%-m.%y %I %p %j %A %B%%')",
            ("5.3.17 02 PM 064 Sunday March%"),
        ),
    ],
    "json_encode": [
        ("obj | json_encode", '{"a":"x","b":1}'),
        ("obj | json_encode(pretty=true)", '{\n  "a": "x",\n  "b": 1\n}'),
        ("nil | json_encode", "null"),
    ],
    "as_str": [("5 | as_str | length", "1"), ("obj | as_str", "[object]")],
    "get": [("obj | get(key='a')", "x"), ("obj | get(key='q', default='d')", "d")],
    "default": [("q | default(value='d')", "d"), ("nil | default(value='d')", "d")],
    "safe": [("'<a>' | safe", "<a>"), ("5 | safe + 1", "6")],
    "vals": [("'plain' | vals", "plain"), ("'ref+x://y' | vals", "<ref+x://y>")],
}
TESTS = {
    "defined": [("nil is defined", "true"), ("q is defined", "false")],
    "undefined": [("q is undefined", "true"), ("obj.q is undefined", "true")],
    "odd": [("3 is odd", "true"), ("-3 is odd", "true"), ("2 is odd", "false")],
    "even": [("2 is even", "true"), ("3 is not even", "true")],
    "string": [("'a' is string", "true"), ("1 is string", "false")],
    "number": [("1.5 is number", "true"), ("true is number", "false")],
    "divisibleby": [("9 is divisibleby(3)", "true"), ("9 is divisibleby(0)", "false")],
    "iterable": [("[1] is iterable", "true"), ("'a' is iterable", "false")],
    "object": [("obj is object", "true"), ("[1] is object", "false")],
    "starting_with": [("'abc' is starting_with('ab')", "true")],
    "ending_with": [("'abc' is ending_with('ab')", "false")],
    "containing": [
        ("'abc' is containing('b')", "true"),
        ("[1, 2] is containing(3)", "false"),
        ("obj is containing('a')", "true"),
    ],
    "matching": [
        (r"'v1.20.3' is matching('^v\d+(\.\d+){2}$')", "true"),
        (r"'v1' is matching('^\d')", "false"),
        ("'HELLO' is matching('(?i)hello')", "true"),
        (r"'a b' is matching('a\sb|c')", "true"),
        ("'abc' is matching('[^a-c]')", "false"),
        (r"'word' is matching('\bword\b')", "true"),
    ],
}
FUNCTIONS = {
    "range": [
        ("range(end=3)", "[0, 1, 2]"),
        ("range(start=1, end=8, step_by=3)", "[1, 4, 7]"),
        ("range(start=2, end=2)", "[]"),
    ],
    "now": [
        ("now()", "2025-01-02T03:04:05+01:00"),
        ("now(utc=true)", "2025-01-02T02:04:05+00:00"),
        ("now(timestamp=true)", "1735783445"),
    ],
    "get_random": [("get_random(end=10)", "0-9"), ("get_random(start=2, end=3)", "2-2")],
}
ALL = [case for table in (FILTERS, TESTS, FUNCTIONS) for cases in table.values() for case in cases]


def _now():
    return datetime(2025, 1, 2, 3, 4, 5, tzinfo=timezone(timedelta(hours=1)))


RENDERER = Renderer(
    Functions(
        now=_now,
        random_int=lambda low, high: f"{low}-{high}",
        resolve_ref=lambda reference: f"<{reference}>",
    )
)


@pytest.mark.parametrize(("expression", "expected"), ALL)
def test_it_gives(expression, expected):
    context = {**CONTEXT, "text": "a\nb\n"}
    assert RENDERER.render("{{ " + expression + " }}", context) == expected


def test_every_filter_test_and_function_has_a_case_here():
    assert set(FILTERS) == set(template_filters.FILTERS)
    assert set(TESTS) == set(template_tests.TESTS)
    assert {*FUNCTIONS, "throw"} == set(template_tests.FUNCTIONS)


FAILURES = {
    "5 | upper": "must be a string",
    "nil | upper": "must be a string, not null",
    "'a' | first": "must be an array",
    "5 | length": "must be a string or an array or an object",
    "true | abs": "must be a number",
    "[1, 'a'] | sort": "different kinds",
    "[nil] | sort": "cannot compare null",
    "[obj] | unique": "cannot compare an object",
    "rows | sort(attribute='q')": "finds no `q`",
    "[1] | nth(n=-1)": "must not be negative",
    "'a' | truncate(length=-1)": "must not be negative",
    "obj | get(key='q')": "the object has: a, b",
    "1 | round(method='up')": "common, ceil or floor",
    "-1 | filesizeformat": "not negative",
    "1.5 | filesizeformat": "must be a whole number",
    "'tomorrow' | date": "RFC 3339",
    "1 | date(format='%Q')": "unknown directive, `%Q`",
    "1 | date(timezone='Narnia')": "time zone is not known",
    "1 | date(timezone='../../etc/passwd')": "time zone is not known",
    "99999999999999 | date": "RFC 3339",
    "'1' | int(base=99)": "from 2 to 36",
    "'a' is odd": "must be a number",
    "5 is starting_with('5')": "must be a string",
    "'a' is starting_with(5)": "must be a string",
    "'a' is matching('(')": "the pattern is wrong",
    "'a' is matching('(?=a)')": "not supported",
    r"'a' is matching('(a)\1')": "not supported",
    "'a' is matching('a**')": "two repetitions",
    "'a' is matching('*')": "nothing before",
    "'a' is matching('[b-a]')": "low to high",
    "'a' is matching('a{3,1}')": "goes up",
    "range()": "needs the argument `end`",
    "range(start=2, end=1)": "counts up",
    "range(end=5, step_by=0)": "counts up",
    "get_random(start=3, end=3)": "above its `start`",
    "throw(message='stop: ' ~ obj.b)": "stop: 1",
}


@pytest.mark.parametrize(("expression", "reason"), FAILURES.items())
def test_it_refuses(expression, reason):
    with pytest.raises(TemplateError) as caught:
        RENDERER.render("{{ " + expression + " }}", CONTEXT)
    assert reason in caught.value.message


@pytest.mark.parametrize(
    ("expression", "reason"),
    [
        ("now()", "no clock is connected"),
        ("get_random(end=5)", "no source of chance"),
        ("'ref+awsssm://a' | vals", "no secret back-end is connected"),
    ],
)
def test_the_pure_core_has_no_clock_no_chance_and_no_secrets_of_its_own(expression, reason):
    with pytest.raises(TemplateError, match=reason):
        Renderer().render("{{ " + expression + " }}", {})


def test_a_naive_clock_is_taken_as_utc():
    renderer = Renderer(
        Functions(now=lambda: datetime(2025, 1, 2, tzinfo=UTC).replace(tzinfo=None))
    )
    assert renderer.render("{{ now() }}", {}) == "2025-01-02T00:00:00+00:00"


def _first_column(heading):
    section = PAGE.read_text().split(f"## {heading}\n")[1].split("\n## ")[0]
    return set(re.findall(r"^\| `(\w+)", section, re.MULTILINE))


@pytest.mark.parametrize(
    ("heading", "table"),
    [
        ("Filters", template_filters.FILTERS),
        ("Tests", template_tests.TESTS),
        ("Functions", template_tests.FUNCTIONS),
    ],
)
def test_the_reference_page_lists_exactly_what_there_is(heading, table):
    assert _first_column(heading) == set(table)


@pytest.mark.parametrize(
    "limit",
    [
        template_limits.MAX_WORK,
        template_limits.MAX_LIST,
        template_limits.MAX_DEPTH,
        template_limits.MAX_TOKENS,
        template_limits.MAX_LOOP_NESTING,
        template_limits.MAX_EXPRESSION_NESTING,
    ],
)
def test_the_reference_page_tells_the_limits(limit):
    section = PAGE.read_text().split("## Limits\n")[1].split("\n## ")[0]
    assert re.search(rf"\b{limit:,}\b", section)
