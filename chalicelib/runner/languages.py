"""Which program runs a step's script, and how: script or source into a command line.

The one rule: values reach a program as whole arguments; the only shell is the one that runs a
shell script. What is missing on this machine is an error that says what to install.
Source: workflow language, section 1.2.
"""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Protocol

from chalicelib.domain.errors import InvalidError, UnavailableError
from chalicelib.domain.workflow import Language
from chalicelib.runner.isolation import find_program
from chalicelib.runner.spawn import StepUser
from chalicelib.runner.spec import StepSpec

# Linux refuses a single argument of 128 KB and more.
_MAX_INLINE_BYTES = 100_000
_SUFFIXES = {
    Language.SHELL: "sh",
    Language.PYTHON: "py",
    Language.JAVASCRIPT: "js",
    Language.TYPESCRIPT: "ts",
    Language.GO: "go",
}
_RUN_WORDS = {
    "bun": ("run",),
    "deno": ("run", "--allow-all", "--quiet"),
    "go": ("run",),
    "uv": ("run", "--no-project"),
}
_IMPORT_SYNTAX = re.compile(r"^\s*(import\s*[\w{*\"']|export\s)", re.MULTILINE)
_STRIPS_TYPES = (22, 6)


class Installer(Protocol):
    """Makes dependencies available; see `dependencies.Dependencies`."""

    def python(self, interpreter: str, uv: str | None, wanted: Sequence[str]) -> str:
        """Return the interpreter that sees `wanted`."""

    def node_modules(self, program: str, wanted: Sequence[str]) -> Path:
        """Return the folder that holds `wanted`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where the step runs: programs are found on `path` as `user` sees it."""

    path: str
    user: StepUser | None
    workdir: Path
    script_dir: Path


@dataclass(frozen=True, slots=True)
class Invocation:
    """The command line, and variables that stand unless the action sets them itself."""

    argv: tuple[str, ...]
    env: dict[str, str] = field(default_factory=dict)


def invocation(spec: StepSpec, place: Place, installer: Installer) -> Invocation:
    """Return how to run the step; write an inline script that needs a file into its folder.

    Raises:
        UnavailableError: a program is missing here, or dependencies could not be installed.
        InvalidError: the source file is absent or outside the working copy.
    """
    builders = {
        Language.SHELL: _shell,
        Language.PYTHON: _python,
        Language.JAVASCRIPT: _javascript,
        Language.TYPESCRIPT: _javascript,
        Language.GO: _go,
    }
    return builders[spec.language](spec, place, installer)


def _shell(spec: StepSpec, place: Place, _: Installer) -> Invocation:
    if spec.interpreter:
        runner = _interpreter(spec.interpreter, place)
        return Invocation((*runner, str(_script_file(spec, place)), *spec.args))
    if spec.source:
        file = _script_file(spec, place)
        if os.access(file, os.X_OK) and _starts_by_itself(file):
            return Invocation((str(file), *spec.args))
        return Invocation((_need(place, "sh"), str(file), *spec.args))
    script = spec.script or ""
    if script.startswith("#!"):
        return Invocation((*_shebang(script), str(_script_file(spec, place)), *spec.args))
    if len(script.encode()) > _MAX_INLINE_BYTES:
        return Invocation((_need(place, "sh"), str(_script_file(spec, place)), *spec.args))
    # The step's name is $0, so the shell's own messages start with it.
    return Invocation((_need(place, "sh"), "-c", script, spec.step, *spec.args))


def _python(spec: StepSpec, place: Place, installer: Installer) -> Invocation:
    runner = _interpreter(spec.interpreter or "python3", place)
    if spec.dependencies:
        uv = find_program("uv", place.path, place.user)
        runner = (installer.python(runner[0], uv, spec.dependencies),)
    env = {} if spec.source else {"PYTHONPATH": str(place.workdir)}
    return Invocation((*runner, str(_script_file(spec, place)), *spec.args), env)


def _javascript(spec: StepSpec, place: Place, installer: Installer) -> Invocation:
    runner = _interpreter(spec.interpreter, place) if spec.interpreter else _toolchain(spec, place)
    file = _script_file(spec, place)
    paths = [place.workdir, place.workdir / "node_modules"]
    if spec.dependencies:
        installed = installer.node_modules(_package_program(place), spec.dependencies)
        paths.insert(0, installed)
        link = (place.workdir if spec.source else place.script_dir) / "node_modules"
        if not link.exists():
            link.symlink_to(installed)
    env = {"NODE_PATH": os.pathsep.join(map(str, paths))}
    return Invocation((*runner, str(file), *spec.args), env)


def _go(spec: StepSpec, place: Place, _: Installer) -> Invocation:
    if spec.dependencies:
        raise InvalidError(
            "`dependencies` cannot be installed for Go: put a go.mod into the workspace and name "
            "the program by `source`."
        )
    runner = _interpreter(spec.interpreter or "go", place)
    return Invocation((*runner, str(_script_file(spec, place)), *spec.args))


def _toolchain(spec: StepSpec, place: Place) -> tuple[str, ...]:
    # Only npm and bun install dependencies into a folder; deno does not look there by itself.
    names = ("bun", "node") if spec.dependencies else ("bun", "deno", "node")
    found = next((name for name in names if find_program(name, place.path, place.user)), None)
    if found is None:
        raise UnavailableError(
            f"{spec.language.value} needs one of {', '.join(names)}, and this worker has none of "
            "them on its PATH. Install one, or send the step to another worker with `tags`."
        )
    program = _interpreter(found, place)
    if found != "node" or spec.language is Language.JAVASCRIPT:
        return program
    version = _node_version(program[0])
    if version < _STRIPS_TYPES:
        raise UnavailableError(
            "typescript needs bun, deno or node 22.6 and newer, and this worker has only node "
            f"{'.'.join(map(str, version))}. Install one of them, or write the step in javascript."
        )
    return (*program, "--experimental-strip-types", "--disable-warning=ExperimentalWarning")


def _package_program(place: Place) -> str:
    bun = find_program("bun", place.path, place.user)
    return bun or _need(place, "npm")


def _starts_by_itself(file: Path) -> bool:
    with file.open("rb") as opened:
        return opened.read(2) in (b"#!", b"\x7fE")


@lru_cache(maxsize=8)
def _node_version(node: str) -> tuple[int, ...]:
    said = subprocess.run((node, "--version"), capture_output=True, timeout=10, check=False)
    return tuple(int(part) for part in re.findall(rb"\d+", said.stdout)[:2])


def _interpreter(name: str, place: Place) -> tuple[str, ...]:
    if "/" in name:
        program = str(place.workdir / name)
        if not os.access(program, os.X_OK) or Path(program).is_dir():
            raise UnavailableError(f"The interpreter {name} is not a program on this worker.")
    else:
        program = _need(place, name)
    return (program, *_RUN_WORDS.get(Path(name).name, ()))


def _need(place: Place, name: str) -> str:
    program = find_program(name, place.path, place.user)
    if program is None:
        raise UnavailableError(
            f"{name} is not on this worker's PATH. Install it, or send the step to another worker "
            "with `tags`."
        )
    return program


def _shebang(script: str) -> tuple[str, ...]:
    """Read the first line as the kernel does: a program and at most one argument."""
    words = script.splitlines()[0][2:].split(maxsplit=1)
    if not words or not os.access(words[0], os.X_OK):
        raise UnavailableError(
            f"The script's first line names {words[0] if words else 'no program'} as its "
            "interpreter, which is not on this worker. Install it, or change the line."
        )
    return (words[0], *(word.strip() for word in words[1:]))


def _script_file(spec: StepSpec, place: Place) -> Path:
    if spec.source is not None:
        return _source_file(spec.source, place.workdir)
    # The prefix keeps a step called `json` from standing in the way of Python's own module.
    name = re.sub(r"[^A-Za-z0-9-]", "-", spec.step)[:100]
    suffix = _SUFFIXES[spec.language]
    if spec.language is Language.JAVASCRIPT and _IMPORT_SYNTAX.search(spec.script or ""):
        suffix = "mjs"
    file = place.script_dir / f"step-{name}.{suffix}"
    file.write_text(spec.script or "", encoding="utf-8", newline="")
    return file


def _source_file(source: str, workdir: Path) -> Path:
    file = workdir / source
    if not file.resolve().is_relative_to(workdir.resolve()):
        raise InvalidError(f"The source {source} lies outside the workspace; name a file in it.")
    if not file.is_file():
        raise InvalidError(
            f"The source {source} is not in this revision of the workspace; check the path, which "
            "starts at the workspace's root, and that the file was published."
        )
    return file
