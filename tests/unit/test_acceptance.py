"""The table of accepted behaviours names tests that exist, at least one a row."""

import ast
import re
from collections import Counter

from tests.fakes.command import ROOT

PAGE = ROOT / "docs" / "reference" / "acceptance.md"
ROW = re.compile(r"^\| (?P<id>[a-z]+-\d+) \| (?P<behaviour>[^|]+) \| (?P<tests>[^|]+) \|$")
NAMED = re.compile(r"`(tests/\w+/\w+\.py)::(\w+)`")
HEADS = ("id", "---")


def rows(text):
    """Return the rows of all tables as `(id, behaviour, tests)`, and the lines that are none."""
    lines = [line for line in text.splitlines() if line.startswith("|")]
    found = [(line, ROW.match(line)) for line in lines]
    odd = [line for line, row in found if row is None]
    return [row.group("id", "behaviour", "tests") for _, row in found if row is not None], odd


def wrong(text):
    """Return what is wrong with the page, a sentence each."""
    found, odd = rows(text)
    said = [
        f"is no row: {line}" for line in odd if line.strip("| ").split("|")[0].strip() not in HEADS
    ]
    counted = Counter(name for name, _, _ in found)
    said += [f"{name} stands {count} times" for name, count in counted.items() if count > 1]
    for name, behaviour, tests in found:
        named = NAMED.findall(tests)
        if not named:
            said.append(f"{name} ({behaviour}) has no test")
        said += [
            f"{name}: there is no {file}::{test}"
            for file, test in named
            if not is_there(file, test)
        ]
        rest = NAMED.sub("", tests).replace(",", "").strip()
        said += [f"{name}: is no name of a test: {rest}"] if rest else []
    return said


def is_there(file, test):
    path = ROOT / file
    return path.is_file() and test in {
        node.name for node in ast.parse(path.read_text()).body if isinstance(node, ast.FunctionDef)
    }


def test_every_behaviour_has_a_test_that_exists():
    assert wrong(PAGE.read_text()) == []


def test_each_group_is_numbered_without_a_gap():
    numbers = {}
    for name, _, _ in rows(PAGE.read_text())[0]:
        group, _, number = name.partition("-")
        numbers.setdefault(group, []).append(int(number))
    assert len(numbers) > 10
    assert numbers == {group: list(range(1, 1 + len(found))) for group, found in numbers.items()}


def test_a_row_that_lies_would_be_found():
    ours = "`tests/unit/test_acceptance.py::test_a_row_that_lies_would_be_found`"
    page = "\n".join(
        (
            "| id | behaviour | tests |",
            "|---|---|---|",
            f"| a-1 | right | {ours} |",
            f"| a-1 | twice | {ours} |",
            "| a-2 | without | none |",
            "| a-3 | gone | `tests/unit/test_acceptance.py::test_gone` |",
            "| A-4 | odd |",
        )
    )
    assert wrong(page) == [
        "is no row: | A-4 | odd |",
        "a-1 stands 2 times",
        "a-2 (without) has no test",
        "a-2: is no name of a test: none",
        "a-3: there is no tests/unit/test_acceptance.py::test_gone",
    ]
