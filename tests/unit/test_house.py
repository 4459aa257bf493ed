"""The house keeps its own rules: sizes, names, pages that exist, words that stand in the pages."""

import ast
import re
import subprocess
import sys
import tokenize
from pathlib import Path

import pytest

from chalicelib.cli.app import app
from chalicelib.cli.exits import Exit
from chalicelib.domain import keys
from chalicelib.domain.lifecycle import JobStatus, StepStatus, job_moves, step_moves
from tests.fakes.command import ENVIRON, ROOT

MOST_LINES = 400
MOST_FUNCTION_LINES = 40
MOST_README_LINES = 200
OF_A_MACHINE = tuple(
    "/".join(("", *parts)) for parts in (("work", ""), ("root", ""), ("tmp", "brief"))
)
SILENCING = re.compile(r"# ?(noqa|type: ignore)")
LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)")


def tracked():
    """Return the files that git knows or would take in, of those that are there."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    )
    paths = [ROOT / name for name in listed.stdout.split("\0") if name]
    return [path for path in paths if path.is_file() and not path.is_symlink()]


FILES = tracked()
SOURCES = [path for path in FILES if path.suffix == ".py"]
PRODUCT = [p for p in SOURCES if p.relative_to(ROOT).parts[0] in ("chalicelib", "workers")]
TESTS = [p for p in SOURCES if p.relative_to(ROOT).parts[0] == "tests"]
PAGES = [path for path in FILES if path.suffix == ".md"]


def name(path):
    return str(path.relative_to(ROOT))


def text_of(path):
    return path.read_text(encoding="utf-8")


def reference(page):
    return text_of(ROOT / "docs" / "reference" / page)


def test_no_file_of_the_product_or_of_its_tests_is_too_long():
    sizes = {name(path): text_of(path).count("\n") for path in PRODUCT + TESTS}
    assert {file: size for file, size in sizes.items() if size > MOST_LINES} == {}


def test_no_function_of_the_product_is_too_long():
    assert [long for path in PRODUCT for long in too_long(name(path), text_of(path))] == []


def too_long(file, text):
    """Yield what is over the limit, its decorators and docstring not counted."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            body = node.body[1:] if ast.get_docstring(node) else node.body
            size = node.end_lineno - (body[0].lineno if body else node.end_lineno) + 1
            if size > MOST_FUNCTION_LINES:
                yield f"{file}:{node.lineno} {node.name}: {size} lines"


def test_a_function_that_is_too_long_would_be_found():
    lines = "    a = 1\n" * (MOST_FUNCTION_LINES + 1)
    assert list(too_long("x.py", f'def f():\n    """Say."""\n{lines}')) == ["x.py:1 f: 41 lines"]


def test_every_module_of_the_product_says_what_it_owns():
    assert [name(p) for p in PRODUCT if not ast.get_docstring(ast.parse(text_of(p)))] == []


def test_the_product_holds_nothing_but_python():
    found = {path for path in FILES if path.relative_to(ROOT).parts[0] == "chalicelib"}
    assert {name(path) for path in found if path.suffix != ".py"} == set()


def test_importing_the_app_is_light():
    code = "import sys, app; print('\\n'.join(sys.modules))"
    ran = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env=ENVIRON,
        check=True,
        capture_output=True,
        text=True,
    )
    assert set(ran.stdout.split()) & {"boto3", "pynamodb", "typer", "subprocess32"} == set()


def verbs(group=app, before=""):
    for command in group.registered_commands:
        yield f"{before}{command.name or command.callback.__name__}"
    for inner in group.registered_groups:
        yield from verbs(inner.typer_instance, f"{before}{inner.name} ")


@pytest.mark.parametrize("verb", sorted(verbs()))
def test_the_reference_has_every_verb(verb):
    assert f"`stroem {verb}" in reference("cli.md")


def test_the_reference_has_every_exit_code():
    rows = dict(re.findall(r"^\| (\d+) \| (.+) \|$", reference("cli.md"), re.MULTILINE))
    assert set(map(int, rows)) >= {code.value for code in Exit}


@pytest.mark.parametrize("status", [*JobStatus, *StepStatus], ids=repr)
def test_the_reference_has_every_status_and_where_it_leads(status):
    part = "## Jobs" if isinstance(status, JobStatus) else "## Steps"
    moves = job_moves(status) if isinstance(status, JobStatus) else step_moves(status)
    section = reference("statuses.md").partition(part)[2].partition("\n## ")[0]
    rows = re.findall(r"^\| `(\w+)` \| .+ \| (.+) \|$", section, re.MULTILINE)
    assert {row[0]: set(re.findall(r"`(\w+)`", row[1])) for row in rows}[status] == set(moves)


def key_functions():
    found = vars(keys).items()
    return sorted(k for k, v in found if callable(v) and v.__module__ == keys.__name__)


@pytest.mark.parametrize("function", key_functions())
def test_the_reference_has_every_key(function):
    assert f"`{function}`" in reference("tables.md")


def test_the_readme_is_short():
    assert text_of(ROOT / "README.md").count("\n") <= MOST_README_LINES


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_what_a_page_links_to_is_there(page):
    text = re.sub(r"^```.*?^```", "", text_of(page), flags=re.MULTILINE | re.DOTALL)
    targets = [target for target in LINK.findall(text) if "://" not in target]
    assert [target for target in targets if not leads_somewhere(page, target)] == []


def leads_somewhere(page, target):
    file, _, anchor = target.partition("#")
    there = page if not file else (page.parent / file)
    if not there.exists():
        return False
    return not anchor or anchor in anchors(there)


def anchors(page):
    """Return the anchors that the headings of a page make, as GitHub does."""
    headings = re.findall(r"^#+ (.+)$", text_of(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_no_file_names_a_path_of_a_machine():
    found = []
    for path in FILES:
        try:
            text = text_of(path)
        except UnicodeDecodeError:
            continue
        found += [f"{name(path)}: {part}" for part in OF_A_MACHINE if part in text]
    assert found == []


def test_nothing_is_patched():
    patched = re.compile(r"\bunittest\.mock\b|\bmocker\b|\bimport mock\b")
    assert [name(p) for p in TESTS if p != Path(__file__) and patched.search(text_of(p))] == []


def ignores(path):
    """Yield the comments of a file that silence a tool."""
    if not SILENCING.search(text_of(path)):
        return
    with path.open("rb") as file:
        for token in tokenize.tokenize(file.readline):
            if token.type == tokenize.COMMENT and SILENCING.search(token.string):
                yield token.start[0], token.string


def test_what_silences_a_tool_names_the_rule():
    coded = re.compile(r"# noqa: [A-Z]+\d+|# type: ignore\[[\w, -]+\]")
    found = [
        f"{name(path)}:{line} {comment}"
        for path in SOURCES
        for line, comment in ignores(path)
        if not coded.search(comment)
    ]
    assert found == []


def test_what_silences_a_tool_in_the_product_gives_its_reason():
    reason = re.compile(
        r"# noqa: [A-Z\d]+(, [A-Z\d]+)* +[-(].{3}|# type: ignore\[[\w, -]+\]  # .{3}"
    )
    found = [
        f"{name(path)}:{line} {comment}"
        for path in PRODUCT
        for line, comment in ignores(path)
        if not reason.search(comment)
    ]
    # A line that speaks for itself, or for those before it, may go without; not many do.
    assert len(found) <= 25, found
