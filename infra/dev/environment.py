"""The two virtual environments, made from hash-locked requirements and only when those changed.

One rule: standard library only, since this runs before anything is installed.
"""

import hashlib
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
DEVELOPMENT = ROOT / ".venv"
EMULATOR = ROOT / ".venv-emulator"
LOCK = ROOT / "requirements-dev.txt"
EMULATOR_LOCK = ROOT / "infra" / "local" / "requirements.txt"
STAMP = "stroem-stamp"
OFFLINE = (
    "The packages could not be fetched. Connect to the internet, or name a mirror in PIP_INDEX_URL"
    " and UV_INDEX_URL, and run the same command again. Once installed they need no network."
)


class SetupError(Exception):
    """The environment could not be made; the text says what to do."""


def prepare(*, emulator: bool) -> None:
    """Bring `.venv` (and `.venv-emulator`) up to date; free when nothing changed.

    Raises:
        SetupError: no registry answered, or the system's Python cannot make virtual environments.
    """
    wanted = _digest(LOCK, ROOT / "pyproject.toml")
    if _stamp(DEVELOPMENT) != wanted:
        _make_development(wanted)
    if emulator and _stamp(EMULATOR) != (wanted := _digest(EMULATOR_LOCK)):
        _make_emulator(wanted)


def _digest(*files: Path) -> str:
    digest = hashlib.sha256(f"{sys.version_info[:2]}{ROOT}".encode())
    for file in files:
        digest.update(file.read_bytes())
    return digest.hexdigest()


def _stamp(folder: Path) -> str:
    try:
        usable = (folder / "bin" / "python").exists()
        return (folder / STAMP).read_text() if usable else ""
    except OSError:
        return ""


def _make_development(stamp: str) -> None:
    count = len(re.findall(r"^[\w.-]+==", LOCK.read_text(), flags=re.MULTILINE))
    print(f"Preparing .venv: {count} packages, each checked against its hash", flush=True)
    _venv(DEVELOPMENT)
    python = DEVELOPMENT / "bin" / "python"
    _run("installer", [str(python), "-m", "pip", "install", "--quiet", *_only_uv()])
    _install(python, LOCK)
    project = [*_installer(python), "--no-deps", "--no-build-isolation", "--editable", str(ROOT)]
    # The plain form of an editable install: one path, no import hook to load at each start.
    _run("this project", [*project, "--config-settings", "editable_mode=compat"])
    (DEVELOPMENT / STAMP).write_text(stamp)


def _make_emulator(stamp: str) -> None:
    print("Preparing .venv-emulator: MiniStack and what it needs", flush=True)
    _venv(EMULATOR)
    _install(EMULATOR / "bin" / "python", EMULATOR_LOCK)
    (EMULATOR / STAMP).write_text(stamp)


def _venv(folder: Path) -> None:
    """Make the environment, or keep one that works: installing again mends what lacks in it."""
    if _works(folder):
        return
    if folder.exists() and not (folder / "pyvenv.cfg").exists():
        raise SetupError(f"{folder} exists and is no virtual environment. Move it away.")
    shutil.rmtree(folder, ignore_errors=True)
    uv = DEVELOPMENT / "bin" / "uv"
    if uv.exists():
        _run("environment", [str(uv), "venv", "--quiet", "--python", sys.executable, str(folder)])
        return
    try:
        _run("environment", [sys.executable, "-m", "venv", str(folder)])
    except SetupError as error:
        raise SetupError(
            f"{sys.executable} cannot make virtual environments;"
            f" on Debian and Ubuntu: apt install python3-venv.\n{error}"
        ) from error


def _works(folder: Path) -> bool:
    python = folder / "bin" / "python"
    ask = [str(python), "-c", "import sys; print(*sys.version_info[:2])"]
    try:
        answer = subprocess.run(ask, check=False, capture_output=True, text=True)
    except OSError:
        return False
    return answer.stdout.split() == [str(number) for number in sys.version_info[:2]]


def _only_uv() -> list[str]:
    """Return pip's arguments for the locked uv alone, which installs the rest ten times faster."""
    block = re.search(r"^uv==.*?(?=^\S)", LOCK.read_text() + "\n.", flags=re.MULTILINE | re.DOTALL)
    if block is None:
        raise SetupError(f"{LOCK.name} names no uv. Restore it from git.")
    scratch = Path(tempfile.mkdtemp(prefix="stroem-dev-")) / "uv.txt"
    scratch.write_text(block[0])
    return ["--require-hashes", "--requirement", str(scratch)]


def _installer(python: Path) -> list[str]:
    uv = DEVELOPMENT / "bin" / "uv"
    if uv.exists():
        return [str(uv), "pip", "install", "--quiet", "--python", str(python)]
    return [str(python), "-m", "pip", "install", "--quiet"]


def _install(python: Path, lock: Path) -> None:
    arguments = ["--require-hashes", "--requirement", str(lock)]
    try:
        _run("packages", [*_installer(python), *arguments])
    except SetupError:
        if (python.parent / "pip").exists():
            # pip knows mirrors and certificates that uv was not told about.
            _run("packages (pip)", [str(python), "-m", "pip", "install", "--quiet", *arguments])
        else:
            raise


def _run(what: str, command: list[str]) -> None:
    began = time.monotonic()
    with tempfile.TemporaryFile("w+") as output:
        with subprocess.Popen(command, cwd=ROOT, stdout=output, stderr=output) as process:
            _show_waiting(what, process, began)
        taken = f"  {what:<16}{time.monotonic() - began:5.1f} s"
        print(f"{chr(13) if sys.stdout.isatty() else ''}{taken}", flush=True)
        if process.returncode:
            output.seek(0)
            raise SetupError(f"{output.read().strip()[-1500:]}\n\n{OFFLINE}")


def _show_waiting(what: str, process: "subprocess.Popen[bytes]", began: float) -> None:
    while True:
        try:
            process.wait(0.5)
        except subprocess.TimeoutExpired:
            if sys.stdout.isatty():
                print(f"\r  {what:<16}{time.monotonic() - began:5.1f} s …", end="", flush=True)
        else:
            return
