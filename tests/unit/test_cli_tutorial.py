"""The tutorial is carried out: its files are written, its commands run, their output compared."""

import os
import re
import shlex
import subprocess
import sys

import pytest

from tests.fakes.command import ENVIRON, ROOT
from tests.fakes.stack import a_stack

TUTORIAL = (ROOT / "docs" / "tutorial" / "first-workflow.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```$", TUTORIAL, re.MULTILINE | re.DOTALL)


@pytest.fixture
def shell(tmp_path):
    """Run command lines in the folder of the tutorial, against a server, as its reader does."""
    programs = tmp_path / "programs"
    programs.mkdir()
    stroem = programs / "stroem"
    stroem.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m chalicelib.cli "$@"\n')
    stroem.chmod(0o755)
    (tmp_path / "first").mkdir()
    (tmp_path / "steps").mkdir()
    path = f"{programs}{os.pathsep}{os.environ['PATH']}"

    with a_stack(tmp_path / "steps") as stack:

        def run(line):
            return subprocess.run(
                ["sh", "-c", line],
                cwd=tmp_path / "first",
                env={**ENVIRON, "PATH": path, "STROEM_URL": stack.url},
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                check=False,
            )

        yield tmp_path / "first", run


def commands(block):
    """Yield the command lines of a block, each with the lines that it must print among others."""
    for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
        line, *expected = part.splitlines()
        yield line, expected


def test_every_file_is_written_and_every_command_prints_what_is_shown(shell):
    folder, run = shell
    carried_out = 0
    for language, block in BLOCKS:
        if language in ("yaml", "csv"):
            first, _, rest = block.partition("\n")
            file = folder / first.removeprefix("# ")
            file.parent.mkdir(exist_ok=True)
            file.write_text(block if language == "yaml" else rest, encoding="utf-8")
        elif language == "console":
            for line, expected in commands(block):
                ran = run(line)
                for wanted in expected:
                    assert wanted in ran.stdout, f"$ {line}\n{ran.stdout}"
                assert ran.returncode == 0, f"$ {line}\n{ran.stdout}"
                carried_out += 1
    assert carried_out >= 15
