"""`./dev COMMAND`: prepares the environment and hands over to what does the work.

One rule: standard library only; what needs packages runs in `.venv`.
"""

import os
import subprocess
import sys
import time

from infra.dev import suites
from infra.dev.command_line import parser
from infra.dev.environment import DEVELOPMENT, ROOT, SetupError, prepare

LOCKS = {
    "requirements.in": "requirements.txt",
    "workers/requirements.in": "workers/requirements.txt",
    "requirements-dev.in": "requirements-dev.txt",
    "infra/local/requirements.in": "infra/local/requirements.txt",
    "infra/dev/requirements-node.in": "infra/dev/requirements-node.txt",
}
# Verbs whose options are those of the module that does their work.
PASSING_ON = {
    "bench": "benchmarks",
    "chaos": "benchmarks.chaos",
    "fuzz": "tests.api.fuzz_many",
    "oracle": "tests.oracle",
    "simulate": "tests.simulation.many",
}
PYTHON = str(DEVELOPMENT / "bin" / "python")


def main(arguments: list[str]) -> int:
    """Return the exit code: 1 something failed, 2 the user must change something first."""
    given, rest = parser().parse_known_args(arguments)
    if rest and given.verb not in PASSING_ON:
        parser().error(f"unrecognized arguments: {' '.join(rest)}")
    try:
        prepare(emulator=given.verb not in {"lock", "down"})
        if given.verb in {"up", "demo", "down"}:
            # -P: a folder named infra where the user stands must not come first.
            command = [PYTHON, "-P", "-m", "infra.local.up", *arguments]
            os.execv(PYTHON, command)  # noqa: S606 - the same program, in its environment
        if given.verb == "test":
            return suites.run(given.suite, given.rest)
        if given.verb == "check":
            return _check(tests=not given.no_tests)
        if given.verb in PASSING_ON:
            return subprocess.call([PYTHON, "-m", PASSING_ON[given.verb], *rest], cwd=ROOT)
        return _lock()
    except SetupError as error:
        print(f"\n{error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130


def _check(*, tests: bool) -> int:
    checks = {
        "format": ["ruff", "format", "--check", "."],
        "lint": ["ruff", "check", "."],
        "types": ["mypy"],
        "import rules": ["lint-imports"],
        "template": ["python", "-m", "infra.package", "--lint"],
    }
    failed = [name for name, command in checks.items() if not _passes(name, command)]
    if failed:
        print(f"Failed: {', '.join(failed)}. What can be mended: .venv/bin/ruff check --fix .")
    code = suites.run("unit", []) if tests else 0
    return 1 if failed else code


def _passes(name: str, command: list[str]) -> bool:
    began = time.monotonic()
    program = DEVELOPMENT / "bin" / command[0]
    done = subprocess.run(
        [str(program), *command[1:]], cwd=ROOT, check=False, capture_output=True, text=True
    )
    verdict = "ok" if done.returncode == 0 else "FAILED"
    print(f"  {name:<14}{verdict:<8}{time.monotonic() - began:5.1f} s", flush=True)
    if done.returncode:
        print((done.stdout + done.stderr).rstrip(), flush=True)
    return done.returncode == 0


def _lock() -> int:
    uv = str(DEVELOPMENT / "bin" / "uv")
    options = [
        "--generate-hashes",
        "--universal",
        "--python-version",
        "3.11",
        "--upgrade",
        "--quiet",
    ]
    environment = {**os.environ, "UV_CUSTOM_COMPILE_COMMAND": "./dev lock"}
    for source, lock in LOCKS.items():
        print(f"  {source} -> {lock}", flush=True)
        command = [uv, "pip", "compile", *options, source, "--output-file", lock]
        if code := subprocess.call(command, cwd=ROOT, env=environment):
            return code
    return 0
