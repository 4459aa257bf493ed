"""How each part of the stack is started and known to be up.

One rule: a part is ready when it answers, not when it was started.
"""

import json
import subprocess
import time
from pathlib import Path

from infra import package
from infra.local import parts, probes
from infra.local.places import PYTHON, ROOT, StackError, guarded

DOOR_START_S = 20.0


def deploy(endpoint: str, built: package.Package, links: dict[str, str]) -> dict[str, str]:
    """Return the outputs of the template, deployed at `endpoint`; `links` is for its functions.

    Raises:
        StackError: with the service's reasons.
    """
    done = subprocess.run(
        [str(PYTHON), "-m", "infra.local.deploy", str(built.archive.parent), built.key],
        cwd=ROOT,
        env=guarded(endpoint) | links,
        check=False,
        capture_output=True,
        text=True,
    )
    if done.returncode:
        raise StackError(f"The template was not deployed.\n{done.stderr.strip()[-3000:]}")
    outputs: dict[str, str] = json.loads(done.stdout)
    return outputs


def front_door(port: int, log: Path, environment: dict[str, str]) -> parts.Part:
    """Start the front door; `wait_for_door` says when it is open."""
    arguments = ["infra.local.frontdoor", "--port", str(port)]
    return parts.start("front door", PYTHON, arguments, log, environment)


def wait_for_door(part: parts.Part, url: str) -> None:
    """Return once it answers.

    Raises:
        StackError: it ended, or was silent for 20 seconds.
    """
    deadline = time.monotonic() + DOOR_START_S
    while not probes.answers(f"{url}/healthz"):
        how = part.ended()
        if how or time.monotonic() > deadline:
            raise StackError(
                f"The front door did not open ({how or 'no answer'})."
                f" Its last lines, from {part.log}:\n{part.last_words()}"
            )
        time.sleep(0.02)


def publish(name: str, folder: Path, environment: dict[str, str]) -> str | None:
    """Publish a folder as a workspace; return what was wrong, or None."""
    done = subprocess.run(
        [str(PYTHON), "-m", "infra.local.publish", name, str(folder)],
        cwd=ROOT,
        env=environment,
        check=False,
        capture_output=True,
        text=True,
    )
    if done.returncode == 0:
        return None
    return (done.stderr or done.stdout).strip()[-2000:] or f"exit code {done.returncode}"


def first_admin(given: str | None, environment: dict[str, str]) -> str:
    """Add the first administrator to a stack without users; return what to say of it.

    Raises:
        StackError: it cannot be; the message says why.
    """
    done = subprocess.run(
        [str(PYTHON), "-m", "infra.local.admin"],
        cwd=ROOT,
        env=environment,
        input=given or "",
        check=False,
        capture_output=True,
        text=True,
    )
    if done.returncode:
        raise StackError(f"The administrator was not added. {done.stderr.strip()[-2000:]}")
    return done.stdout.strip()


def worker(name: str, log: Path, environment: dict[str, str]) -> parts.Part:
    """Start a worker process; what it needs to know is in its environment."""
    return parts.start(name, PYTHON, ["workers"], log, environment)
