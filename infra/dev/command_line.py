"""What `./dev` accepts, for each of its commands.

One rule: standard library only, so that `--help` answers before anything is installed.
"""

import argparse
from pathlib import Path

SUITES = ("unit", "property", "simulation", "contract", "api", "e2e")


def parser() -> argparse.ArgumentParser:
    """Return the parser of all commands; paths come out absolute."""
    top = argparse.ArgumentParser(
        prog="dev",
        description="Develop and run Strøm for AWS on this machine, without an AWS account.",
    )
    verbs = top.add_subparsers(dest="verb", required=True, metavar="COMMAND")
    _add_demo(verbs)
    _add_up(verbs)
    down = verbs.add_parser(
        "down", help="stop a running stack", description="Stop a running stack."
    )
    down.add_argument(
        "--data", type=_folder, metavar="DIR", help="its data folder (default .stroem)"
    )
    _add_test(verbs)
    check = verbs.add_parser(
        "check",
        help="format, lint, types, import rules, template, unit tests",
        description="Run every static check and the unit tests.",
    )
    check.add_argument("--no-tests", action="store_true", help="leave the unit tests out")
    # Its options, --help among them, are those of benchmarks/.
    verbs.add_parser("bench", help="measure; options: ./dev bench --help", add_help=False)
    # As above: its options are those of tests/simulation.
    verbs.add_parser(
        "chaos",
        help="a real stack whose workers are killed; options: ./dev chaos --help",
        add_help=False,
    )
    verbs.add_parser(
        "oracle",
        help="hold 500 crons in 20 zones over 20 years against a calendar; options: --help",
        add_help=False,
    )
    verbs.add_parser(
        "simulate",
        help="run the engine under injected faults; options: ./dev simulate --help",
        add_help=False,
    )
    # As above: its options are those of tests/api/fuzz_many.py.
    verbs.add_parser(
        "fuzz",
        help="ask the API many wrong questions; options: ./dev fuzz --help",
        add_help=False,
    )
    verbs.add_parser(
        "lock",
        help="lock the requirements again",
        description="Write the hash-locked requirements from their .in files, newest versions.",
    )
    return top


def _folder(text: str) -> Path:
    return Path(text).expanduser().resolve()


def _add_demo(verbs: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    demo = verbs.add_parser(
        "demo",
        help="run a real workflow end to end, then stop",
        description="Bring a stack up in a temporary folder, run the sample task `release` on it,"
        " print each step's time and stop everything. The exit code is the workflow's.",
    )
    _add_stack_options(demo, "(default 8080, or a free one)", "(default: a temporary one)")


def _add_up(verbs: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    up = verbs.add_parser(
        "up",
        help="run the stack until Ctrl-C",
        description="Bring the stack up and stay. The next start finds the data again.",
    )
    _add_stack_options(up, "(default 8080)", "(default .stroem)")
    who = up.add_mutually_exclusive_group()
    who.add_argument(
        "--admin",
        metavar="EMAIL:PASSWORD",
        help="the first administrator of a stack without users (default: one is made and printed)",
    )
    who.add_argument(
        "--open", action="store_true", help="let everybody on this machine in without log-in"
    )


def _add_stack_options(to: argparse.ArgumentParser, port: str, data: str) -> None:
    to.add_argument("--port", type=int, help=f"port of the front door {port}")
    to.add_argument("--data", type=_folder, metavar="DIR", help=f"data folder {data}")
    to.add_argument(
        "--workspace",
        action="append",
        default=[],
        metavar="NAME=PATH",
        help="publish this folder as a workspace; may be repeated (default: default=examples)",
    )
    to.add_argument(
        "--workers", type=int, default=1, metavar="N", help="worker processes (default 1)"
    )
    to.add_argument(
        "--slots", type=int, default=8, metavar="N", help="steps at once per worker (default 8)"
    )
    to.add_argument(
        "--control",
        choices=("direct", "http"),
        default="direct",
        help="how workers reach the engine (default direct)",
    )
    to.add_argument(
        "--endpoint",
        metavar="URL",
        help="use a running LocalStack-compatible service instead of the embedded emulator",
    )


def _add_test(verbs: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    test = verbs.add_parser(
        "test",
        help="run the tests",
        description=f"Run all suites or one of: {', '.join(SUITES)}. What follows goes to pytest,"
        " for example: ./dev test unit -k lifecycle -x",
    )
    test.add_argument("suite", nargs="?", default="all", choices=("all", *SUITES), metavar="SUITE")
    test.add_argument("rest", nargs=argparse.REMAINDER, metavar="PYTEST_ARG")
