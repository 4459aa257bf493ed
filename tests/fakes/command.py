"""The command `stroem`, called in this process or started as a program."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path

from chalicelib.cli.__main__ import main

ROOT = Path(__file__).parents[2]
PROGRAM = (sys.executable, "-m", "chalicelib.cli")
ENVIRON = {
    **{key: value for key, value in os.environ.items() if not key.startswith(("STROEM_", "AWS_"))},
    "PYTHONPATH": str(ROOT),
}


@dataclass(frozen=True)
class Ran:
    """How a command ended, and what it printed."""

    code: int
    out: str
    err: str


class Command:
    """Calls the command in this process: quick, and no terminal."""

    def __init__(self, monkeypatch):
        self._monkeypatch = monkeypatch

    def __call__(self, *arguments, given="", encoding="utf-8"):
        out, err = _stream(encoding), _stream("utf-8")
        self._monkeypatch.setattr(sys, "argv", ["stroem", *map(str, arguments)])
        self._monkeypatch.setattr(sys, "stdin", io.StringIO(given))
        code = 0
        with redirect_stdout(out), redirect_stderr(err):
            try:
                main()
            except SystemExit as ended:
                code = int(ended.code or 0)
        return Ran(code, _text(out), _text(err))


def program(*arguments, environ=None, **given):
    """Start the command as a program of its own; its output comes as text through pipes."""
    return subprocess.Popen(
        [*PROGRAM, *map(str, arguments)],
        env=ENVIRON | (environ or {}),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **given,
    )


def write(folder, **files):
    """Write workflow files, by their names without suffix, into the folder's `.workflows`."""
    (folder / ".workflows").mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (folder / ".workflows" / f"{name}.yaml").write_text(text, encoding="utf-8")
    return folder


def _stream(encoding):
    return io.TextIOWrapper(io.BytesIO(), encoding=encoding, write_through=True)


def _text(stream):
    return stream.buffer.getvalue().decode(stream.encoding)
