"""What a workspace may be, however it arrives: how large, how many files, which paths.

Source: security, S12 and S13.
"""

from __future__ import annotations

from unicodedata import category, normalize

from chalicelib.domain.errors import InvalidError, TooLargeError

MAX_FILES = 10_000
MAX_BYTES = 200_000_000
MAX_PATH_BYTES = 1_024
MAX_PART_BYTES = 255
REPOSITORY_DIRECTORY = ".git"


def check_path(path: str) -> None:
    """Refuse a path that is not plain, relative and the same on every system.

    Raises:
        InvalidError: saying what is wrong with the path.
    """
    problem = _problem_of(path)
    if problem is not None:
        raise InvalidError(f"the path {path[:200]!r} is refused: {problem}")


def _problem_of(path: str) -> str | None:
    try:
        size = len(path.encode())
    except UnicodeEncodeError:
        return "not UTF-8"
    if not path or size > MAX_PATH_BYTES:
        return f"empty, or longer than {MAX_PATH_BYTES} bytes"
    if path.startswith("/") or "\\" in path or path[1:2] == ":":
        return "not relative, or with a backslash or a drive"
    if any(category(char) in ("Cc", "Cf", "Zl", "Zp") for char in path):
        return "a control character"
    if normalize("NFC", path) != path:
        return "not in Unicode's normal form NFC"
    return next(filter(None, map(_problem_of_part, path.split("/"))), None)


def _problem_of_part(part: str) -> str | None:
    if part in ("", ".", ".."):
        return "an empty part, `.` or `..`"
    if len(part.encode()) > MAX_PART_BYTES:
        return f"a part longer than {MAX_PART_BYTES} bytes"
    if part.casefold() == REPOSITORY_DIRECTORY:
        return "inside a .git directory"
    return None


class Budget:
    """Counts files and bytes as they come in."""

    def __init__(self) -> None:
        self._files = 0
        self._bytes = 0

    def file(self, size: int) -> None:
        """Count one file.

        Raises:
            TooLargeError: one file or byte too many.
        """
        self._files += 1
        self._bytes += size
        if self._files > MAX_FILES:
            raise TooLargeError(f"the workspace has more than {MAX_FILES} files")
        if self._bytes > MAX_BYTES:
            raise TooLargeError(f"the workspace is larger than {MAX_BYTES} bytes")
