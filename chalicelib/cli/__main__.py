"""The command `stroem`: where arguments go in, and where errors become exit codes."""

from __future__ import annotations

import os
import sys

from chalicelib.settings import VERSION


def main() -> None:
    """Run the verb that the arguments name, and exit with its code."""
    # Asked for most often by scripts, so it must not wait for what the verbs load.
    if sys.argv[1:] in (["--version"], ["-V"]):
        print(f"stroem {VERSION}")
        return
    sys.exit(_run())


def _run() -> int:
    from chalicelib.cli.app import app  # noqa: PLC0415 - see `main`
    from chalicelib.cli.exits import CommandError, Exit  # noqa: PLC0415 - see `main`
    from chalicelib.cli.output import say  # noqa: PLC0415 - see `main`
    from chalicelib.domain.errors import NotFoundError, StroemError  # noqa: PLC0415 - see `main`

    code = Exit.OK
    try:
        app()
    except CommandError as error:
        say(f"stroem: {error.message}")
        code = error.code
    except NotFoundError as error:
        say(f"stroem: {error.message}")
        code = Exit.NOT_FOUND
    except StroemError as error:
        say(f"stroem: {error.message}")
        code = Exit.USAGE
    except KeyboardInterrupt:
        code = Exit.INTERRUPTED
    except BrokenPipeError:
        # The reader of a pipe went away, as `head` does: no fault, and nobody to tell.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return code


if __name__ == "__main__":
    main()
