"""What `./dev up`, `down` and `demo` run, inside the development environment.

One rule: the exit code says it: 0 done, 1 something broke, 2 the user must change something.
"""

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

from infra.dev.command_line import parser
from infra.local import parts, probes
from infra.local.places import PYTHON, ROOT, Data, StackError
from infra.local.stack import Options, PartEndedError, Stack

DEMO_TASK = "release"
DOWN_S = 45.0


def say(line: str) -> None:
    print(line, flush=True)


def up(options: Options) -> int:
    """Bring the stack up and stay until a signal or a failure."""
    stack = Stack(options, say)
    _on_signals(_interrupt)
    stack.start()
    stopped = threading.Event()
    _on_signals(lambda *_: stopped.set())
    say(f"Logs: {options.data}/logs   Stop: Ctrl-C, or ./dev down --data {options.data}")
    if options.has_login:
        say(f"Log in: .venv/bin/stroem login --server {stack.url}   Without: ./dev up --open")
    else:
        say("No password is asked for, so it answers on 127.0.0.1 only.")
    try:
        while not stopped.wait(0.5):
            stack.look()
    finally:
        _stop(stack)
    return 0


def _on_signals(act: Callable[..., None]) -> None:
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, act)


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt


def _stop(stack: Stack) -> None:
    say("Stopping.")
    began = time.monotonic()
    stack.stop()
    say(f"Stopped in {time.monotonic() - began:.1f} s; nothing is left running.")


def down(folder: Path) -> int:
    """Stop the stack that runs on `folder`, and wait for it."""
    data = Data(folder)
    last = data.read(data.running)
    pid = int(last.get("pid", 0))
    if not pid or not probes.is_stack(pid):
        say(f"No stack runs on {folder}.")
        return 0
    say(f"Stopping the stack on {folder} (pid {pid}).")
    os.kill(pid, signal.SIGTERM)
    deadline = time.monotonic() + DOWN_S
    while parts.is_alive(pid):
        if time.monotonic() > deadline:
            raise StackError(f"pid {pid} does not stop. End it with: kill -9 {pid}")
        time.sleep(0.05)
    say("Stopped.")
    return 0


def demo(options: Options, *, keep: bool) -> int:
    """Run the sample task on a stack of its own and return the command line's exit code."""
    stack = Stack(options, say)
    began = time.monotonic()
    _on_signals(_interrupt)
    stack.start()
    try:
        code = _run_sample(stack)
    finally:
        _stop(stack)
    say(f"Demo: {'done' if code == 0 else 'FAILED'} in {time.monotonic() - began:.1f} s.")
    if code:
        say(f"The logs of all parts are in {options.data}/logs")
    elif not keep:
        shutil.rmtree(options.data, ignore_errors=True)
    return code


def _temporary() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="stroem-demo-"))
    # Steps may run as users of their own, who must reach their working copies below.
    folder.chmod(0o711)
    return folder


def _run_sample(stack: Stack) -> int:
    stroem = str(PYTHON.with_name("stroem"))
    environment = stack.environment()
    say(f"\n$ stroem trigger {DEMO_TASK} --follow --wait")
    code = subprocess.run(
        [stroem, "trigger", DEMO_TASK, "--follow", "--wait"], env=environment, check=False
    ).returncode
    job = _last_job(stack.url)
    if job:
        say(f"\n$ stroem status {job}")
        subprocess.run([stroem, "status", job], env=environment, check=False)
    say("")
    return code


def _last_job(url: str) -> str | None:
    try:
        with probes.opener().open(f"{url}/api/jobs?limit=1", timeout=10) as answer:
            found = json.load(answer)
    except OSError:
        return None
    rows = found["items"] if isinstance(found, dict) else found
    return rows[0]["job_id"] if rows else None


def _workspaces(given: list[str]) -> dict[str, Path]:
    chosen = {}
    for one in given or [f"default={ROOT / 'examples'}"]:
        name, separator, folder = one.partition("=")
        if not separator or not name:
            raise StackError(f"--workspace wants NAME=PATH, not {one!r}.")
        if not Path(folder).is_dir():
            raise StackError(f"--workspace {name}: there is no folder {folder}.")
        chosen[name] = Path(folder).resolve()
    return chosen


def _options(given: argparse.Namespace, data: Path, port: int) -> Options:
    return Options(
        data=data,
        port=port,
        workspaces=_workspaces(given.workspace),
        workers=given.workers,
        slots=given.slots,
        control=given.control,
        endpoint=given.endpoint,
        has_login=given.verb == "up" and not given.open,
        admin=_admin(given.admin) if given.verb == "up" else None,
    )


def _admin(given: str | None) -> str | None:
    email, separator, password = (given or "").partition(":")
    if given is not None and not (email and separator and password):
        raise StackError("--admin wants EMAIL:PASSWORD.")
    return given


def main() -> int:
    given = parser().parse_args()
    try:
        if given.verb == "demo":
            own = given.data is None
            data = _temporary() if own else given.data
            port = given.port or parts.free_port(8080)
            return demo(_options(given, data, port), keep=not own)
        data = given.data or ROOT / ".stroem"
        return (
            down(data) if given.verb == "down" else up(_options(given, data, given.port or 8080))
        )
    except PartEndedError as error:
        print(f"\n{error}", file=sys.stderr)
        return 1
    except StackError as error:
        print(f"\n{error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        say("Interrupted; nothing is left running.")
        return 130


if __name__ == "__main__":
    sys.exit(main())
