"""`stroem-worker`: put a worker together from its settings and run it until a signal.

The one rule: exit code 0 after an orderly end, 1 if the engine refuses this worker, 2 if the
settings are wrong.
"""

from __future__ import annotations

import logging
import os
import select
import signal
import sys
import threading
import time
from collections.abc import Callable, Sequence
from functools import partial
from urllib.parse import urlsplit

from aws_lambda_powertools.logging.formatter import LambdaPowertoolsFormatter

from chalicelib import wiring
from chalicelib.domain.errors import StroemError, UnavailableError
from chalicelib.engine.workers import Hello
from chalicelib.runner.isolation import hide_from_steps, isolation_in_force, step_user
from chalicelib.runner.nursed import Nursery
from chalicelib.runner.spawn import StepUser
from chalicelib.runner.spec import Host
from chalicelib.runner.working_copy import WorkingCopies
from chalicelib.settings import VERSION
from chalicelib.workspaces.tarball import extract_into
from workers.attempts import Kit
from workers.control import Control
from workers.loop import Timing, Worker
from workers.settings import MAX_SLOTS, WorkerSettings, read

_log = logging.getLogger("workers")

_LOOPBACK = ("127.0.0.1", "::1", "localhost")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a worker; return the process's exit code."""
    settings = read(sys.argv[1:] if arguments is None else arguments, os.environ)
    _log_to_stderr(settings.name)
    hide_from_steps()
    try:
        control = _control(settings)
    except UnavailableError as error:
        sys.stderr.write(f"stroem-worker: {error.message}\n")
        return 2
    worker = build(settings, control)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: worker.stop())
    if settings.parent_pid is not None:
        _stop_with(settings.parent_pid, worker.stop)
    try:
        worker.run()
    except StroemError as error:
        sys.stderr.write(f"stroem-worker: the engine refuses this worker: {error.message}\n")
        return 1
    return 0


def build(settings: WorkerSettings, control: Control) -> Worker:
    """Return the worker that the settings describe, with a given way to the engine."""
    # Workers beside each other on a machine should not share the users of their steps.
    first_user = os.getpid() * MAX_SLOTS
    user_of = partial(_user_of, first_user)
    host = Host(
        environ=os.environ,
        cache_dir=settings.cache_dir,
        clock=wiring.SystemClock(),
        secret_env=settings.secret_env,
        starter=Nursery(),
    )
    kit = Kit(
        control=control,
        copies=WorkingCopies(settings.cache_dir, extract_into),
        host=host,
        user_of=user_of,
    )
    hello = Hello(
        name=settings.name,
        capabilities=settings.pools,
        tags=settings.tags,
        exclusive=settings.exclusive,
        version=VERSION,
    )
    isolation = isolation_in_force(user_of(0), host.path)
    _log.info("Starts", extra={"slots": settings.slots, "isolation": isolation})
    return Worker(kit, hello, settings.pools, settings.slots, Timing(grace_s=settings.grace_s))


def _user_of(first: int, slot: int) -> StepUser | None:
    return step_user(first + slot, os.geteuid())


def _control(settings: WorkerSettings) -> Control:
    # Each way loads only its own libraries.
    if settings.control == "direct":
        from workers.control_direct import DirectControl  # noqa: PLC0415

        return DirectControl(wiring.engine())
    from workers.control_http import HttpControl  # noqa: PLC0415

    url = settings.url or ""
    if settings.token and url.startswith("http:") and urlsplit(url).hostname not in _LOOPBACK:
        _log.warning("The token travels in the open: use an https URL", extra={"url": url})
    connections = 2 * settings.slots + len(settings.pools) + 2
    return HttpControl(url, settings.token, connections)


def _log_to_stderr(name: str) -> None:
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(LambdaPowertoolsFormatter(service="stroem-worker", worker=name))
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
    for noisy in ("botocore", "urllib3"):
        logging.getLogger(noisy).setLevel(logging.ERROR)


def _stop_with(parent_pid: int, stop: Callable[[], None]) -> None:
    def watch() -> None:
        try:
            descriptor = os.pidfd_open(parent_pid)
        except (AttributeError, OSError):
            # No such system call, or no such process any more: then the id tells.
            while _exists(parent_pid):
                time.sleep(1)
        else:
            select.select([descriptor], [], [])
        _log.warning("The parent process has ended", extra={"parent_pid": parent_pid})
        stop()

    threading.Thread(target=watch, name="parent", daemon=True).start()


def _exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


if __name__ == "__main__":
    sys.exit(main())
