"""Run a module that ends when its parent does: `python -m infra.local.leash MODULE ARG...`.

One rule: standard input is a pipe that nobody writes to; its end means that the parent is gone,
however that came.
"""

import os
import runpy
import signal
import sys
import threading
import time

GRACE_S = 20


def hold() -> None:
    """Watch standard input in a thread and hand `/dev/null` to the program in its place."""
    leash = os.dup(0)
    os.set_inheritable(leash, False)  # noqa: FBT003 - the call's only form
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.close(null)
    threading.Thread(target=_end_with, args=(leash,), daemon=True, name="leash").start()


def _end_with(leash: int) -> None:
    while os.read(leash, 1):
        pass
    # The same clean stop as usual: the emulator saves what it holds.
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(GRACE_S)
    os._exit(1)


if __name__ == "__main__":
    hold()
    sys.argv = sys.argv[1:]
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
