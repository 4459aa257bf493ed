"""Reads repositories of git over https or ssh, without a git program.

The one rule: what comes is as untrusted as an upload, with the same limits; no token or key
appears in an error. Source: security, S8, S12 and S13; decisions, git.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from stat import S_ISDIR, S_ISREG
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Protocol
from unicodedata import normalize

from chalicelib.domain.errors import InvalidError, StroemError, TooLargeError, UnavailableError
from chalicelib.domain.sources import SourceFile, WorkspaceTree
from chalicelib.workspaces.git_transport import Address, address_of, opened
from chalicelib.workspaces.limits import REPOSITORY_DIRECTORY, Budget, check_path

if TYPE_CHECKING:
    from dulwich.client import GitClient
    from dulwich.objects import ObjectID
    from dulwich.refs import Ref
    from dulwich.repo import Repo

MAX_PACK_BYTES = 100_000_000
_MAX_DEPTH = 50
_COMMIT = re.compile(r"[0-9a-f]{40}")
_MAX_MESSAGE = 500


@dataclass(frozen=True, slots=True)
class GitAccess:
    """A repository, what of it, and what lets us in: in clear, so it is never kept or shown."""

    url: str
    ref: str
    username: str | None = None
    token: str | None = field(default=None, repr=False)
    ssh_key: str | None = field(default=None, repr=False)
    host_keys: str | None = None


@dataclass(frozen=True, slots=True)
class Checkout:
    """The files of a commit. `message` is its first line."""

    commit: str
    author: str
    message: str
    tree: WorkspaceTree


class Git(Protocol):
    """How repositories are read."""

    def head(self, access: GitAccess) -> str:
        """Return the commit that the ref stands for now.

        Raises:
            InvalidError: the address, the ref or what lets us in is wrong.
            UnavailableError: nobody answered.
        """

    def checkout(self, access: GitAccess, commit: str) -> Checkout:
        """Return the commit's files; links and submodules are left out.

        Raises as `head`, and TooLargeError: beyond the limits of a workspace.
        """


class RemoteGit:
    """Git in pure Python: it runs where functions do."""

    def head(self, access: GitAccess) -> str:
        if _COMMIT.fullmatch(access.ref):
            return access.ref
        with _speaking(access) as (client, address):
            refs = client.get_refs(address.path.encode()).refs
            return _commit_of(refs, access.ref)

    def checkout(self, access: GitAccess, commit: str) -> Checkout:
        from dulwich.repo import Repo  # noqa: PLC0415 - loaded where git is spoken, only

        with _speaking(access) as (client, address), TemporaryDirectory() as folder:
            repo = Repo.init_bare(Path(folder))
            try:
                _fetch(client, address, repo, commit)
                return _read(repo, commit.encode())
            finally:
                repo.close()


@contextmanager
def _speaking(access: GitAccess) -> Iterator[tuple[GitClient, Address]]:
    """Open the repository; faults of git and of the network become ours."""
    from dulwich.client import HTTPUnauthorized  # noqa: PLC0415 - as above
    from dulwich.errors import GitProtocolError, NotGitRepository  # noqa: PLC0415 - as above
    from urllib3.exceptions import HTTPError  # noqa: PLC0415 - as above

    address = address_of(access.url)
    where = f"git at {address.host}"
    try:
        with opened(address, access) as client:
            yield client, address
    except StroemError:
        raise
    except HTTPUnauthorized:
        raise InvalidError(f"{where} refused us: check the token, and that it may read") from None
    except NotGitRepository:
        raise InvalidError(f"{where} has no such repository, or hides it from us") from None
    except (GitProtocolError, HTTPError, OSError, EOFError) as error:
        raise UnavailableError(f"{where} did not answer as git does: {_kind(error)}") from None
    except (ValueError, KeyError, AssertionError) as error:
        raise InvalidError(f"{where} sent what is no repository: {_kind(error)}") from None


def _commit_of(refs: Mapping[Ref, ObjectID | None], ref: str) -> str:
    known = {name.decode(errors="replace"): found for name, found in refs.items()}
    for name in (ref, f"refs/heads/{ref}", f"refs/tags/{ref}"):
        # What an annotated tag stands for comes under its name and `^{}`.
        found = known.get(name + "^{}") or known.get(name)
        if found and _COMMIT.fullmatch(found.decode("ascii", "replace")):
            return found.decode()
    raise InvalidError(f"the repository has no branch or tag {ref[:100]!r}")


def _fetch(client: GitClient, address: Address, repo: Repo, commit: str) -> None:
    """Bring the commit without its history; where the server hides it so, all that it shows."""
    from dulwich.errors import GitProtocolError, HangupException  # noqa: PLC0415 - as above
    from dulwich.objects import ObjectID  # noqa: PLC0415 - as above

    wanted = ObjectID(commit.encode())
    try:
        _bring(client, address, repo, lambda _: [wanted], 1)
    except (GitProtocolError, HangupException, KeyError):
        _bring(client, address, repo, lambda refs: sorted(set(refs.values())), None)
    if wanted not in repo.object_store:
        raise InvalidError(f"the repository has no commit {commit}")


def _bring(
    client: GitClient,
    address: Address,
    repo: Repo,
    wants: Callable[[Mapping[Ref, ObjectID]], list[ObjectID]],
    depth: int | None,
) -> None:
    from dulwich.object_store import ObjectStoreGraphWalker  # noqa: PLC0415 - as above

    stream, commit, abort = repo.object_store.add_pack()
    size = 0

    def write(content: bytes) -> int:
        nonlocal size
        size += len(content)
        if size > MAX_PACK_BYTES:
            raise TooLargeError(f"the repository sends more than {MAX_PACK_BYTES} bytes")
        return stream.write(content)

    def determine(refs: Mapping[Ref, ObjectID], depth: int | None = None) -> list[ObjectID]:
        del depth
        return wants(refs)

    walker = ObjectStoreGraphWalker([], lambda _: [])
    try:
        client.fetch_pack(address.path.encode(), determine, walker, write, depth=depth)
    except BaseException:
        abort()
        raise
    commit()


def _read(repo: Repo, commit: bytes) -> Checkout:
    from dulwich.objects import Commit, ObjectID, Tag  # noqa: PLC0415 - as above

    found = repo.object_store[ObjectID(commit)]
    while isinstance(found, Tag):
        found = repo.object_store[found.object[1]]
    if not isinstance(found, Commit):
        raise InvalidError(f"{commit.decode()} is no commit")
    budget = Budget()
    files: dict[str, SourceFile] = {}
    for path, file in _files(repo, found.tree, "", budget):
        check_path(path)
        if path in files:
            raise InvalidError(f"two files are called {path!r} (one not in normal form NFC)")
        files[path] = file
    lines = found.message.decode(errors="replace").strip().splitlines()
    return Checkout(
        commit=found.id.decode(),
        author=found.author.decode(errors="replace")[:_MAX_MESSAGE],
        message=lines[0][:_MAX_MESSAGE] if lines else "",
        tree=WorkspaceTree(files),
    )


def _files(
    repo: Repo, tree: bytes, prefix: str, budget: Budget, depth: int = 0
) -> Iterator[tuple[str, SourceFile]]:
    from dulwich.objects import Blob, ObjectID, Tree  # noqa: PLC0415 - as above

    if depth > _MAX_DEPTH:
        raise InvalidError(f"the folder {prefix!r} is more than {_MAX_DEPTH} levels deep")
    listed = repo.object_store[ObjectID(tree)]
    if not isinstance(listed, Tree):
        raise InvalidError(f"{prefix!r} is no folder")
    for entry in listed.iteritems():
        path = prefix + normalize("NFC", entry.path.decode())
        if entry.path.decode().casefold() == REPOSITORY_DIRECTORY:
            raise InvalidError(f"the path {path[:200]!r} is refused: inside a .git directory")
        if S_ISDIR(entry.mode):
            yield from _files(repo, entry.sha, f"{path}/", budget, depth + 1)
        elif S_ISREG(entry.mode):
            blob = repo.object_store[entry.sha]
            content = blob.data if isinstance(blob, Blob) else b""
            budget.file(len(content))
            yield path, SourceFile(content, executable=bool(entry.mode & 0o100))


def _kind(error: BaseException) -> str:
    """Return what went wrong, by its class: texts of others may hold anything."""
    return type(error).__name__
