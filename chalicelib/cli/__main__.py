"""The command `stroem`: where arguments go in, and where errors become exit codes."""

from __future__ import annotations

import errno
import os
import sys

from chalicelib.settings import VERSION


def main() -> None:
    """Run the verb that the arguments name, and exit with its code."""
    _open_closed_streams()
    # Asked for most often by scripts, so it must not wait for what the verbs load.
    if sys.argv[1:] in (["--version"], ["-V"]):
        print(f"stroem {VERSION}")
        return
    code = _run()
    try:
        sys.stdout.flush()
    except OSError as error:
        code = _unwritable(error) if code == 0 else code
    sys.exit(code)


def _run() -> int:
    from chalicelib.cli.app import app  # noqa: PLC0415 - see `main`
    from chalicelib.cli.exits import CommandError, Exit, exit_of_error  # noqa: PLC0415 - see `main`
    from chalicelib.cli.output import OutputError, say  # noqa: PLC0415 - see `main`
    from chalicelib.domain.errors import StroemError  # noqa: PLC0415 - see `main`

    try:
        app()
    except SystemExit as ended:
        return ended.code if isinstance(ended.code, int) else Exit.OK
    except (CommandError, StroemError) as error:
        say(f"stroem: {error.message}")
        return exit_of_error(error)
    except OutputError as error:
        return _unwritable(error.cause)
    except KeyboardInterrupt:
        return Exit.INTERRUPTED
    except Exception:  # noqa: BLE001 - Python's own code for it, 1, would say that a job failed
        import traceback  # noqa: PLC0415 - see `main`

        say(f"stroem: this should not have happened; please report it:\n{traceback.format_exc()}")
        return Exit.INTERNAL
    return Exit.OK


def _unwritable(error: OSError) -> int:
    """Return the code for a stdout that takes nothing more."""
    # What is still in the buffer must not be tried again, and complained about, at exit.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    if error.errno == errno.EPIPE:
        # The reader of a pipe went away, as `head` does: no fault, and nobody to tell.
        return 0
    print(f"stroem: cannot write the output: {error.strerror}", file=sys.stderr)
    return 70


def _open_closed_streams() -> None:
    """Give streams that the caller closed a place to go, and let no character stop a line."""
    if sys.stdout is None:
        sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: PTH123, SIM115 - for good
    if sys.stderr is None:
        sys.stderr = open(os.devnull, "w", encoding="utf-8")  # noqa: PTH123, SIM115 - for good
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]  # text streams of files, both


if __name__ == "__main__":
    main()
