"""Bytes into lines, and lines into the step's output."""

import json
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.runner.lines import (
    MAX_LINE_BYTES,
    MAX_OUTPUT_BYTES,
    LineSplitter,
    OutputScanner,
    Piece,
    Tail,
)


def split(*chunks):
    splitter = LineSplitter()
    pieces = [piece for chunk in chunks for piece in splitter.feed(chunk)]
    return pieces + list(splitter.finish())


def texts(*chunks):
    return [piece.text for piece in split(*chunks)]


@pytest.mark.parametrize(
    ("chunks", "lines"),
    [
        ([b"a\nb\n"], ["a", "b"]),
        ([b"a\nb"], ["a", "b"]),
        ([b"a", b"b\n"], ["ab"]),
        ([b"\n\n"], ["", ""]),
        ([b""], []),
        ([b"a\r\nb\r\n"], ["a", "b"]),
        ([b"a\r", b"\nb"], ["a", "b"]),
        ([b"10%\r20%\r30%\n"], ["10%", "20%", "30%"]),
        ([b"a\r"], ["a"]),
        ([b"\xff\xfe\n"], ["\ufffd\ufffd"]),
        ([b"caf\xc3", b"\xa9\n"], ["café"]),
        ([b"caf\xc3"], ["caf\ufffd"]),
        ([b"nul\x00esc\x1b[1m\n"], ["nul\x00esc\x1b[1m"]),
        (["line\u2028same\u0085same\n".encode()], ["line\u2028same\u0085same"]),
    ],
)
def test_bytes_become_lines(chunks, lines):
    assert texts(*chunks) == lines


@pytest.mark.parametrize("character", ["x", "é", "€", "😀"])
def test_a_long_line_is_split_within_64_kb_and_between_characters(character):
    line = character * 100_000
    pieces = split(f"{line}\nnext\n".encode())
    assert "".join(piece.text for piece in pieces[:-1]) == line
    assert all(len(piece.text.encode()) <= MAX_LINE_BYTES for piece in pieces)
    assert [piece.ends for piece in pieces[-3:]] == [False, True, True]
    assert pieces[-1] == Piece("next", ends=True)


def test_a_line_that_never_ends_is_handed_out_while_it_grows():
    splitter = LineSplitter()
    given_out = sum(len(p.text) for _ in range(100) for p in splitter.feed(b"x" * 10_000))
    assert given_out >= 1_000_000 - MAX_LINE_BYTES


@given(st.binary(max_size=400), st.lists(st.integers(0, 400), max_size=8))
def test_lines_do_not_depend_on_where_reads_are_cut(data, cuts):
    edges = [0, *sorted(min(cut, len(data)) for cut in cuts), len(data)]
    parts = [data[a:b] for a, b in pairwise(edges)]
    assert texts(*parts) == texts(data)


def scanned(text):
    scanner = OutputScanner()
    for piece in split(text.encode()):
        scanner.add(piece)
    return scanner


@pytest.mark.parametrize(
    ("stdout", "output"),
    [
        ('OUTPUT: {"a": 1}\n', {"a": 1}),
        ('OUTPUT:{"a": 1}\n', {"a": 1}),
        ('OUTPUT: {"a": 1}', {"a": 1}),
        ('OUTPUT: {"a": 1}\r\n', {"a": 1}),
        ('OUTPUT: {"a": 1}\nOUTPUT: {"b": 2}\n', {"b": 2}),
        ('OUTPUT: {"a": 1}\nOUTPUT: {broken\n', {"a": 1}),
        ('OUTPUT: {broken\nOUTPUT: {"a": 1}\nlater\n', {"a": 1}),
        ("OUTPUT:   [1, 2]   \n", [1, 2]),
        ("OUTPUT: 7\n", 7),
        ("OUTPUT: null\n", None),
        ('OUTPUT: "caf\\u00e9 😀"\n', "café 😀"),
    ],
)
def test_the_last_valid_output_line_is_the_output(stdout, output):
    scanner = scanned(stdout)
    assert (scanner.has_output, scanner.output) == (True, output)


@pytest.mark.parametrize(
    "stdout",
    [
        "",
        "hello\n",
        "OUTPUT:\n",
        "OUTPUT {}\n",
        "output: {}\n",
        ' OUTPUT: {"a": 1}\n',
        'see OUTPUT: {"a": 1}\n',
        'OUTPUT: {"a": 1} trailing\n',
        "OUTPUT: {'a': 1}\n",
        "OUTPUT: NaN\n",
        "OUTPUT: 1e999\n",
        "OUTPUT: -Infinity\n",
        'OUTPUT: "\\ud800"\n',
        f"OUTPUT: {'9' * 5000}\n",
        f"OUTPUT: {'[' * 100_000}\n",
    ],
)
def test_anything_else_is_no_output(stdout):
    assert not scanned(stdout).has_output


def test_an_output_line_may_be_1_mb_long():
    value = {"text": "é" * ((MAX_OUTPUT_BYTES - 100) // 2)}
    scanner = scanned(f"OUTPUT: {json.dumps(value, ensure_ascii=False)}\nbye\n")
    assert (scanner.output, scanner.oversized) == (value, 0)


def test_an_output_line_over_1_mb_is_counted_and_leaves_the_one_before():
    scanner = scanned(f'OUTPUT: 1\nOUTPUT: "{"x" * MAX_OUTPUT_BYTES}"\nOUTPUT: broken\n')
    assert (scanner.output, scanner.oversized) == (1, 1)


def test_the_middle_of_a_split_line_is_no_output():
    scanner = scanned("x" * MAX_LINE_BYTES + "OUTPUT: 1\n")
    assert not scanner.has_output


def test_the_tail_keeps_the_last_20_lines():
    tail = Tail()
    for number in range(100):
        tail.add(Piece(f"line {number}", ends=True))
    assert tail.text().splitlines() == [f"line {number}" for number in range(80, 100)]


def test_the_tail_is_cut_in_front_at_700_bytes():
    tail = Tail()
    tail.add(Piece("é" * 5000 + " the end", ends=True))
    assert len(tail.text().encode()) <= 700
    assert tail.text().startswith("…é")
    assert tail.text().endswith("é the end")
