"""YAML 1.2's core schema, positions, and thirty texts that are made to hurt the reader."""

import time

import pytest

from chalicelib.domain.parse.yaml_source import read_yaml
from chalicelib.domain.sources import Place


def value_of(text):
    document, findings = read_yaml("w.yaml", text)
    assert findings == []
    return document.value


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("no", "no"),
        ("NO", "NO"),
        ("yes", "yes"),
        ("on", "on"),
        ("off", "off"),
        ("y", "y"),
        ("true", True),
        ("True", True),
        ("tRUE", "tRUE"),
        ("FALSE", False),
        ("null", None),
        ("~", None),
        ("", None),
        ("nUll", "nUll"),
        ("12", 12),
        ("-12", -12),
        ("+12", 12),
        ("0644", 644),
        ("0o644", 0o644),
        ("0x1F", 31),
        ("0b11", "0b11"),
        ("-0x1", "-0x1"),
        ("1_000", "1_000"),
        ("12:30:45", "12:30:45"),
        ("2026-01-01", "2026-01-01"),
        ("1.5", 1.5),
        (".5", 0.5),
        ("1.", 1.0),
        ("1e3", 1000.0),
        ("1.2.3", "1.2.3"),
        ("=", "="),
        ("'12'", "12"),
        ('"true"', "true"),
        ("1__", "1__"),
        ("-", None),
    ],
)
def test_a_plain_scalar_means_what_the_core_schema_says(written, meant):
    if written == "-":
        assert value_of("a:\n  -\n") == {"a": [None]}
        return
    found = value_of(f"a: {written}\n")["a"]
    assert found == meant
    assert type(found) is type(meant)


def test_keys_such_as_on_and_no_stay_texts():
    assert value_of("on: 1\nno: 2\ny: 3\n") == {"on": 1, "no": 2, "y": 3}


def test_an_alias_gives_the_value_of_its_anchor():
    assert value_of("a: &x { b: [1] }\nc: *x\n") == {"a": {"b": [1]}, "c": {"b": [1]}}


def test_json_is_yaml_and_a_byte_order_mark_is_no_text():
    assert value_of('{"a": ["\\u00f8", null]}') == {"a": ["ø", None]}
    assert value_of("\ufeffa: 1".encode()) == {"a": 1}


def test_an_empty_text_is_nothing():
    assert value_of("") is None
    assert value_of("# only a comment\n") is None


def test_every_value_and_key_has_its_place():
    document, _ = read_yaml("w.yaml", "a:\n  b: 1\n  c:\n    - x\n    - |\n      y\n")
    assert document.place(("a", "b")) == Place("w.yaml", 2, 6)
    assert document.place(("a", "b"), of_key=True) == Place("w.yaml", 2, 3)
    assert document.place(("a", "c")) == Place("w.yaml", 3, 3)
    assert document.place(("a", "c", 0)) == Place("w.yaml", 4, 7)
    assert document.place(("a", "c", 1)) == Place("w.yaml", 5, 7, is_block=True)
    assert document.place(("a", "c", 7, "z")) == Place("w.yaml", 3, 3)
    assert document.place(("z",)) == Place("w.yaml", 1, 1)


def test_what_an_alias_brings_in_is_found_at_the_alias():
    document, _ = read_yaml("w.yaml", "a: &x { b: 1 }\nc: *x\n")
    assert document.place(("c", "b")) == Place("w.yaml", 2, 4)


def test_duplicate_keys_are_all_told_and_the_first_counts():
    document, findings = read_yaml("w.yaml", "a: 1\nb: { c: 1, c: 2 }\na: 3\n")
    assert document.value == {"a": 1, "b": {"c": 1}}
    assert [(f.line, f.column, f.path) for f in findings] == [(2, 12, "b.c"), (3, 1, "a")]


def laughs(levels, width):
    rows = [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * width)}]" for n in range(1, levels)]
    return "\n".join(["a0: &a0 [x, x]", *rows])


ATTACKS = {
    "a billion laughs": laughs(9, 9),
    "a few laughs, wide": laughs(3, 30),
    "laughs in keys": laughs(5, 5) + "\n? *a4\n: 1",
    "51 aliases": "a: &a 1\nb: [" + ", ".join(["*a"] * 51) + "]",
    "big anchor used often": "a: &a [" + "1, " * 5000 + "]\nb: [*a, *a, *a]",
    "an alias of itself": "a: &a [*a]",
    "an alias of what holds it": "a: &a { b: { c: *a } }",
    "deep lists": "[" * 100_000,
    "deep lists, closed": "[" * 60 + "]" * 60,
    "deep mappings": "{a: " * 60 + "1" + "}" * 60,
    "deep blocks": "".join(" " * n + "a:\n" for n in range(60)),
    "deep dashes": "- " * 60 + "x",
    "deep keys": "? " * 60 + "x",
    "a megabyte": "a: " + "x" * 1_000_000,
    "python object": "a: !!python/object/apply:os.system ['true']",
    "python name": "a: !!python/name:os.system",
    "python tuple": "a: !!python/tuple [1]",
    "binary": "a: !!binary aGk=",
    "a set": "a: !!set { x }",
    "a pair list": "a: !!omap [x: 1]",
    "a timestamp tag": "a: !!timestamp 2026-01-01",
    "the non-specific tag": "a: ! x",
    "a tag of a handle": "%TAG ! tag:evil,2026:\n---\na: !x y",
    "two documents": "a: 1\n---\nb: 2",
    "a document after the end": "a: 1\n...\nb: 2",
    "merge key": "a: { <<: { b: 1 } }",
    "null key": "~: 1",
    "float key": "1.5: 1",
    "boolean key": "true: 1",
    "mapping as key": "{a: 1}: 2",
    "infinite": "a: .inf",
    "not a number": "a: .nan",
    "over all numbers": "a: 1e999",
    "a number of 400 digits": "a: " + "1" * 400,
    "a null character": "a: \x00",
    "an escape character": "a: \x1b[2J",
    "half a surrogate": 'a: "\\ud800"',
    "not UTF-8": b"a: \xff\xfe",
    "UTF-16": "a: 1".encode("utf-16"),
    "unknown directive value": "%YAML 3.0\n---\na: 1",
    "unclosed quote": "a: 'x",
    "tab as indent": "a:\n\tb: 1",
    "key without colon": "a: 1\nb",
}


@pytest.mark.parametrize("text", ATTACKS.values(), ids=ATTACKS)
def test_a_hostile_text_is_refused_at_once_with_a_place(text):
    before = time.perf_counter()
    _, findings = read_yaml("w.yaml", text)
    took_s = time.perf_counter() - before
    assert findings
    assert all(f.line >= 1 and f.column >= 1 and f.reason for f in findings)
    assert took_s < 1


def test_what_the_limits_allow_is_read():
    depth = "[" * 49 + "]" * 49
    assert value_of(f"a: {depth}")
    assert len(value_of("a: &a 1\nb: [" + ", ".join(["*a"] * 50) + "]")["b"]) == 50
    assert len(value_of("a: [" + "1, " * 20_000 + "]")["a"]) == 20_000
