"""What this worker was told: by flags, else by the environment, else by default.

The one rule: a flag and its variable have the same name and the same check. Where the engine's
tables are, `chalicelib.settings` reads; the token has no flag, since everybody may list those.
"""

from __future__ import annotations

import argparse
import os
import re
import socket
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, TypeAlias
from urllib.parse import urlsplit

import platformdirs

from chalicelib.settings import VERSION

MAX_SLOTS = 256
MAX_NAME_CHARS = 128

Value: TypeAlias = "str | bool | int | float | Path | tuple[str, ...] | None"


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerSettings:
    """Everything that is asked of one worker process."""

    control: str
    url: str | None
    token: str | None
    slots: int
    pools: tuple[str, ...]
    tags: tuple[str, ...]
    exclusive: bool
    cache_dir: Path
    name: str
    grace_s: float
    parent_pid: int | None
    secret_env: tuple[str, ...] = ()


# Alone, these would be too common for names in an environment.
_RENAMED = {"name": "worker_name", "tags": "worker_tags", "exclusive": "worker_exclusive"}


class _Option(NamedTuple):
    name: str
    default: str
    parse: Callable[[str], Value]
    help: str

    @property
    def flag(self) -> str:
        return "--" + self.name.replace("_", "-")

    @property
    def variable(self) -> str:
        return "STROEM_" + _RENAMED.get(self.name, self.name).upper()


def read(arguments: Sequence[str], environ: Mapping[str, str]) -> WorkerSettings:
    """Return the settings.

    Raises:
        SystemExit: with 2 and a sentence when a value is wrong; with 0 after `--help`.
    """
    parser = _parser()
    given = vars(parser.parse_args(arguments))
    values = {
        option.name: _value(parser, option, given[option.name], environ) for option in _OPTIONS
    }
    if values["control"] == "http" and not values["url"]:
        parser.error("--url or STROEM_URL is needed with the control http: where the API is")
    return WorkerSettings(token=environ.get("STROEM_WORKER_TOKEN") or None, **values)  # type: ignore[arg-type] # each value has passed its option's own check


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="stroem-worker",
        description="Run steps: take them from their pools, run them here, report how they end.",
        epilog="Each flag may also be set by the variable in its brackets. With --control http, "
        "STROEM_WORKER_TOKEN holds the token. With --control direct, the engine's own variables "
        "(STROEM_JOBS_TABLE and the like) say where its tables are.",
    )
    parser.add_argument("--version", action="version", version=f"stroem-worker {VERSION}")
    for option in _OPTIONS:
        default = f"; default: {option.default}" if option.default else ""
        text = f"{option.help} [{option.variable}{default}]"
        parser.add_argument(option.flag, dest=option.name, metavar="VALUE", help=text)
    return parser


def _value(
    parser: argparse.ArgumentParser,
    option: _Option,
    given: str | None,
    environ: Mapping[str, str],
) -> Value:
    text, source = given, option.flag
    if text is None:
        text, source = environ.get(option.variable) or option.default, option.variable
    try:
        return option.parse(text)
    except ValueError as error:
        parser.error(f"{source} is {text!r}: {error}")


def _control(text: str) -> str:
    if text not in ("direct", "http"):
        raise ValueError("it must be direct or http")
    return text


def _url(text: str) -> str | None:
    parts = urlsplit(text)
    if text and (parts.scheme not in ("http", "https") or not parts.hostname):
        raise ValueError("it must be a URL such as https://stroem.example.com")
    return text or None


def _slots(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= MAX_SLOTS:
        raise ValueError(f"it must be a whole number from 1 to {MAX_SLOTS}")
    return int(text)


def _names(text: str) -> tuple[str, ...]:
    names = tuple(dict.fromkeys(part.strip() for part in text.split(",") if part.strip()))
    wrong = [name for name in names if not re.fullmatch(r"[A-Za-z0-9_-]{1,64}", name)]
    if wrong:
        raise ValueError(f"{wrong[0]!r} is no name of letters, digits, `_` and `-`")
    return names


def _patterns(text: str) -> tuple[str, ...]:
    names = tuple(dict.fromkeys(part.strip() for part in text.split(",") if part.strip()))
    wrong = [name for name in names if not re.fullmatch(r"[A-Za-z0-9_*?]{1,128}", name)]
    if wrong:
        raise ValueError(f"{wrong[0]!r} is no name of a variable; `*` stands for any letters")
    return names


def _pools(text: str) -> tuple[str, ...]:
    names = _names(text)
    if not names:
        raise ValueError("it must name at least one pool, such as script")
    return names


def _yes_or_no(text: str) -> bool:
    if text.lower() not in ("yes", "true", "1", "no", "false", "0"):
        raise ValueError("it must be yes or no")
    return text.lower() in ("yes", "true", "1")


def _name(text: str) -> str:
    name = text or f"{socket.gethostname()}-{os.getpid()}"
    if not name.isprintable() or len(name) > MAX_NAME_CHARS:
        raise ValueError(
            f"it must be at most {MAX_NAME_CHARS} characters, none of them a control character"
        )
    return name


def _cache_dir(text: str) -> Path:
    folder = Path(text) if text else platformdirs.user_cache_path("stroem") / "worker"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ValueError(f"this folder cannot be made: {error.strerror}") from error
    if not os.access(folder, os.W_OK | os.X_OK):
        raise ValueError("this folder cannot be written to")
    return folder.absolute()


def _seconds(text: str) -> float:
    if not re.fullmatch(r"\d{1,6}(\.\d+)?", text):
        raise ValueError("it must be a number of seconds, 0 or more")
    return float(text)


def _process_id(text: str) -> int | None:
    if text and (not text.isdecimal() or int(text) < 1):
        raise ValueError("it must be the id of a process")
    return int(text) if text else None


_OPTIONS = (
    _Option("control", "direct", _control, "how to reach the engine: direct or http"),
    _Option("url", "", _url, "where the API is, for the control http"),
    _Option("slots", "4", _slots, "how many steps run at once"),
    _Option("pools", "script", _pools, "what the worker can do, by commas: script, docker"),
    _Option("tags", "", _names, "the worker's tags, by commas: it takes steps that ask for some"),
    _Option("exclusive", "no", _yes_or_no, "yes: take only steps that ask for all of the tags"),
    _Option("cache_dir", "", _cache_dir, "where files and dependencies are kept between steps"),
    _Option("name", "", _name, "the worker's name; else the host's, and the process id"),
    _Option("grace_s", "30", _seconds, "how long running steps may go on after a stop"),
    _Option("secret_env", "", _patterns, "variables that ref+env:// may read, by commas: DB_*"),
    _Option("parent_pid", "", _process_id, "stop when the process of this id has ended"),
)
