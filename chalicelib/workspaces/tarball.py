"""Packs a tree into a tar.gz and takes one apart, trusting nothing in it.

The standard library's extraction is not used (its filters have been broken time and again):
members are walked one by one as a stream, and only plain files and directories at plain paths are
written.
Source: security, S12.
"""

from __future__ import annotations

import gzip
import os
import tarfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from io import BytesIO, RawIOBase
from pathlib import Path

from chalicelib.domain.errors import InvalidError, TooLargeError
from chalicelib.domain.sources import SourceFile, WorkspaceTree
from chalicelib.workspaces.limits import MAX_BYTES, MAX_FILES, check_path

MAX_RATIO = 100
# Below this much, no ratio is suspicious: tar pads even one short file to 10 KB.
_SMALL = 1_000_000
_BLOCK = 1 << 20
# Headers, padding and long names come on top of the contents.
_MAX_STREAM = MAX_BYTES + MAX_FILES * 4_096
_PLAIN_TYPES = (tarfile.REGTYPE, tarfile.AREGTYPE)
_BROKEN = (tarfile.TarError, EOFError, OSError, zlib.error, ValueError, RecursionError, KeyError)


def pack(tree: WorkspaceTree) -> bytes:
    """Return the tree as tar.gz.

    The same tree gives the same bytes, sorted, without times or owners.
    """
    plain = BytesIO()
    with tarfile.open(fileobj=plain, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for path in sorted(tree.files):
            file = tree.files[path]
            member = tarfile.TarInfo(path)
            member.size = len(file.content)
            member.mode = 0o755 if file.executable else 0o644
            archive.addfile(member, BytesIO(file.content))
    whole = plain.getvalue()
    packed = gzip.compress(whole, compresslevel=6, mtime=0)
    if _is_suspicious(len(whole), len(packed)):
        # Very even content would look like a bomb to `unpack`: keep it as it is.
        return gzip.compress(whole, compresslevel=0, mtime=0)
    return packed


def unpack(data: bytes) -> WorkspaceTree:
    """Return what the archive holds.

    Raises:
        InvalidError: not a tar.gz, or a member that is no plain file or directory at a plain path.
        TooLargeError: too many members, too much content, or packed more than 100 to 1.
    """
    return WorkspaceTree({member.path: member.file for member in _members(data) if member.file})


def unpack_to(data: bytes, directory: Path) -> None:
    """Write what the archive holds into `directory`, which must not exist yet.

    Modes are 0644 or 0755.

    After an error the directory may hold a part; it is the caller's to delete.

    Raises:
        InvalidError, TooLargeError: as `unpack`; also when the directory exists.
    """
    try:
        directory.mkdir(mode=0o700)
    except FileExistsError as error:
        raise InvalidError(f"{directory} exists: unpacking needs a fresh directory") from error
    for member in _members(data):
        if member.file is None:
            _make_directories(directory, member.path)
        else:
            _make_directories(directory, member.path.rpartition("/")[0])
            _write(directory / member.path, member.file)


@dataclass(frozen=True, slots=True)
class _Member:
    """A file, or a directory if `file` is None."""

    path: str
    file: SourceFile | None


def extract_into(archive: Path | bytes, empty: Path) -> None:
    """Write what the archive holds into an existing, empty directory.

    Raises:
        As `unpack_to`.
    """
    data = archive if isinstance(archive, bytes) else archive.read_bytes()
    empty.rmdir()
    unpack_to(data, empty)


def _members(data: bytes) -> Iterator[_Member]:
    stream = _Bounded(data)
    try:
        with tarfile.open(fileobj=stream, mode="r|", encoding="utf-8", errors="strict") as archive:
            yield from _checked(archive)
            last = next(reversed(archive.getmembers()), None)
        # To the end, for gzip's checksum: a cut archive must not pass for a smaller one.
        while stream.read(_BLOCK):
            pass
        # tarfile takes a damaged header for the end. At the true end, only zeros are left.
        if stream.content_end > (last.offset_data + last.size if last else 0):
            raise InvalidError("the archive has content that belongs to no member")
    except _BROKEN as error:
        raise InvalidError(f"not a tar.gz archive that can be read: {error}") from error


def _checked(archive: tarfile.TarFile) -> Iterator[_Member]:
    files: set[str] = set()
    directories: set[str] = set()
    content_bytes = 0
    for count, info in enumerate(archive, 1):
        if count > MAX_FILES:
            raise TooLargeError(f"the archive has more than {MAX_FILES} members")
        path = info.name.removeprefix("./").rstrip("/")
        if info.isdir() and path in ("", "."):
            continue
        check_path(path)
        _check_kind(info)
        _check_place(path, files, directories, is_directory=info.isdir())
        if info.isdir():
            yield _Member(path, None)
            continue
        content_bytes += info.size
        if content_bytes > MAX_BYTES:
            raise TooLargeError(f"the archive holds more than {MAX_BYTES} bytes")
        yield _Member(path, _content(archive, info))


def _check_kind(info: tarfile.TarInfo) -> None:
    is_plain = info.isdir() or (info.type in _PLAIN_TYPES and not info.issparse())
    if not is_plain:
        raise InvalidError(f"the member {info.name[:200]!r} is a link, a device or sparse")
    if info.size < 0 or (info.isdir() and info.size):
        raise InvalidError(f"the member {info.name[:200]!r} claims {info.size} bytes")


def _check_place(path: str, files: set[str], directories: set[str], *, is_directory: bool) -> None:
    parts = path.split("/")
    above = {"/".join(parts[:depth]) for depth in range(1, len(parts))}
    is_taken = path in files or bool(above & files) or (path in directories and not is_directory)
    if is_taken:
        raise InvalidError(f"the member {path[:200]!r} stands where another is already")
    directories |= above
    (directories if is_directory else files).add(path)


def _content(archive: tarfile.TarFile, info: tarfile.TarInfo) -> SourceFile:
    reader = archive.extractfile(info)
    content = reader.read() if reader is not None else b""
    if len(content) != info.size:
        raise InvalidError(f"the archive ends within {info.name[:200]!r}")
    return SourceFile(content, executable=bool(info.mode & 0o100))


def _make_directories(base: Path, path: str) -> None:
    # Every part was made by us in a fresh directory of our own, so none of them can be a link.
    (base / path).mkdir(mode=0o755, parents=True, exist_ok=True)


def _write(target: Path, file: SourceFile) -> None:
    mode = 0o755 if file.executable else 0o644
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    with os.fdopen(os.open(target, flags, mode), "wb") as stream:
        stream.write(file.content)
        os.fchmod(stream.fileno(), mode)


def _is_suspicious(plain: int, packed: int) -> bool:
    return plain > _SMALL and plain > packed * MAX_RATIO


class _Bounded(RawIOBase):
    """The unpacked stream, which stops where an honest archive would have ended.

    `content_end` is where the last byte ends that was read and is not zero.
    """

    def __init__(self, data: bytes) -> None:
        self._packed = len(data)
        self._plain = 0
        self.content_end = 0
        self._source = gzip.GzipFile(fileobj=BytesIO(data))

    def read(self, size: int = -1) -> bytes:
        """Return the next bytes, at most 1 MB."""
        block = self._source.read(min(size, _BLOCK) if size >= 0 else _BLOCK)
        content = block.rstrip(b"\0")
        if content:
            self.content_end = self._plain + len(content)
        self._plain += len(block)
        if self._plain > _MAX_STREAM or _is_suspicious(self._plain, self._packed):
            raise TooLargeError(
                f"the archive unpacks to more than {MAX_BYTES} bytes or {MAX_RATIO} times its size"
            )
        return block
