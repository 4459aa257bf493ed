"""Packing is exact; unpacking survives archives that are made to hurt."""

import gzip
import io
import os
import stat
import tarfile

import pytest

from chalicelib.domain.errors import InvalidError, TooLargeError
from chalicelib.domain.sources import SourceFile, WorkspaceTree
from chalicelib.workspaces.tarball import extract_into, pack, unpack, unpack_to

TREE = WorkspaceTree(
    {
        ".workflows/a.yaml": SourceFile(b"actions: {}\n"),
        "run.sh": SourceFile(b"true\n", executable=True),
        "\u00e6/" + "long" * 60: SourceFile(bytes(range(256)) * 40),
        "empty": SourceFile(b""),
    }
)


def test_what_is_packed_comes_back():
    assert unpack(pack(TREE)) == TREE
    assert unpack(pack(WorkspaceTree())) == WorkspaceTree()


def test_the_same_tree_gives_the_same_bytes_without_times_and_owners():
    turned = WorkspaceTree(dict(reversed(TREE.files.items())))
    assert pack(TREE) == pack(turned)
    with tarfile.open(fileobj=io.BytesIO(pack(TREE))) as archive:
        members = archive.getmembers()
    assert [m.name for m in members] == sorted(TREE.files)
    assert {(m.mtime, m.uid, m.gid, m.uname, m.gname) for m in members} == {(0, 0, 0, "", "")}
    assert {m.name: m.mode for m in members}["run.sh"] == 0o755


def test_content_that_packs_too_well_to_be_believed_is_kept_unpacked():
    even = WorkspaceTree({"zeros": SourceFile(bytes(5_000_000))})
    assert unpack(pack(even)) == even


def test_files_are_written_into_a_fresh_directory_with_two_modes_only(tmp_path):
    target = tmp_path / "fresh"
    old = os.umask(0o077)
    try:
        unpack_to(pack(TREE), target)
    finally:
        os.umask(old)
    for path, file in TREE.files.items():
        assert (target / path).read_bytes() == file.content
        mode = stat.S_IMODE((target / path).stat().st_mode)
        assert mode == (0o755 if file.executable else 0o644)
    with pytest.raises(InvalidError, match="fresh directory"):
        unpack_to(pack(TREE), target)


def test_an_archive_file_is_written_into_an_empty_directory(tmp_path):
    archive, empty = tmp_path / "a.tar.gz", tmp_path / "empty"
    archive.write_bytes(pack(TREE))
    empty.mkdir()
    extract_into(archive, empty)
    assert (empty / "run.sh").read_bytes() == b"true\n"


def member(name, kind=tarfile.REGTYPE, content=b"x", **more):
    info = tarfile.TarInfo(name)
    info.type, info.size = kind, len(content)
    for key, value in more.items():
        setattr(info, key, value)
    return info, content


def archive_of(*members, form=tarfile.PAX_FORMAT):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=form) as archive:
        for info, content in members:
            archive.addfile(info, io.BytesIO(content))
    return gzip.compress(out.getvalue(), compresslevel=1, mtime=0)


def raw(name=b"a", size=b"00000000001", kind=b"0", body=b"x", mode=b"0000644"):
    """Return one header and its body, with fields as no honest program writes them."""
    header = bytearray(512)
    header[0 : len(name)] = name
    header[100:107] = mode
    header[108:115] = header[116:123] = b"0000000"
    header[124 : 124 + len(size)] = size
    header[136:147] = b"00000000000"
    header[156:157] = kind
    header[257:265] = b"ustar\x0000"
    header[148:156] = b" " * 8
    header[148:156] = f"{sum(header):06o}\0 ".encode()
    return bytes(header) + body + bytes(-len(body) % 512)


def binary_size(value):
    return (
        b"\x80" + value.to_bytes(11, "big")
        if value >= 0
        else ((256**12 + value).to_bytes(12, "big"))
    )


END = bytes(1024)
PAX_BODY = b"19 path=../../evil\n"


def packed(*blocks):
    return gzip.compress(b"".join(blocks), mtime=0)


LINK = {"linkname": "/etc/passwd"}
ATTACKS = {
    "absolute path": archive_of(member("/etc/cron.d/x")),
    "parent": archive_of(member("../x")),
    "parent within": archive_of(member("a/../../x")),
    "parent that stays inside": archive_of(member("a/../b")),
    "parent at the end": archive_of(member("a/..")),
    "dot within": archive_of(member("a/./b")),
    "double slash": archive_of(member("a//b")),
    "backslashes": archive_of(member("..\\..\\x")),
    "drive letter": archive_of(member("C:/x")),
    "line break": archive_of(member("a\nb")),
    "escape sequence": archive_of(member("a\x1b[2Jb")),
    "right-to-left mark": archive_of(member("a\u202egpj.exe")),
    "not NFC": archive_of(member("e\u0301")),
    "long part": archive_of(member("x" * 256)),
    "long path": archive_of(member("/".join(["x" * 200] * 6))),
    "git hooks": archive_of(member(".git/hooks/post-checkout")),
    "git in other letters": archive_of(member("a/.GIT/config")),
    "symbolic link": archive_of(member("a", tarfile.SYMTYPE, b"", **LINK)),
    "link, then through it": archive_of(
        member("a", tarfile.SYMTYPE, b"", linkname="/var"), member("a/x")
    ),
    "relative link": archive_of(member("a", tarfile.SYMTYPE, b"", linkname="b")),
    "hard link": archive_of(member("a", tarfile.LNKTYPE, b"", **LINK)),
    "hard link to a member": archive_of(
        member("b"), member("a", tarfile.LNKTYPE, b"", linkname="b")
    ),
    "character device": archive_of(member("a", tarfile.CHRTYPE, b"", devmajor=1, devminor=3)),
    "block device": archive_of(member("a", tarfile.BLKTYPE, b"", devmajor=8)),
    "pipe": archive_of(member("a", tarfile.FIFOTYPE, b"")),
    "contiguous file": archive_of(member("a", tarfile.CONTTYPE)),
    "unknown kind": packed(raw(kind=b"Q"), END),
    "sparse, old": packed(raw(kind=b"S"), END),
    "sparse, by header": archive_of(
        member("a", pax_headers={"GNU.sparse.map": "0,1", "GNU.sparse.size": "9000000000"})
    ),
    "twice": archive_of(member("a"), member("a")),
    "twice, once dotted": archive_of(member("a"), member("./a")),
    "file, then below it": archive_of(member("a"), member("a/b")),
    "below it, then a file": archive_of(member("a/b"), member("a")),
    "file where a directory is": archive_of(member("a", tarfile.DIRTYPE, b""), member("a")),
    "directory where a file is": archive_of(member("a"), member("a", tarfile.DIRTYPE, b"")),
    "directory outside": archive_of(member("../d", tarfile.DIRTYPE, b"")),
    "path by pax header": packed(
        raw(b"h", b"00000000023", b"x", PAX_BODY), raw(), END
    ),
    "path by global header": packed(raw(b"h", b"00000000023", b"g", PAX_BODY), raw(), END),
    "long name of GNU": archive_of(member("../" + "x" * 150), form=tarfile.GNU_FORMAT),
    "size by pax header": archive_of(member("a", pax_headers={"size": "99999999"})),
    "negative size by pax header": archive_of(member("a", pax_headers={"size": "-1"})),
    "text as size": archive_of(member("a", pax_headers={"size": "abc"})),
    "negative size": packed(raw(size=binary_size(-512)), END),
    "negative size of a header": packed(raw(kind=b"x", size=binary_size(-1024)), raw(), END),
    "damaged header in the middle": packed(raw(), b"\x01" * 512, raw(b"b"), END),
    "content after the end": packed(raw(), END, raw(b"b"), END),
    "more than there is": packed(raw(size=b"00000010000"), END),
    "header of a header of …": packed(*[raw(kind=b"L", size=b"00000000001")] * 3_000, END),
    "bad checksum": packed(b"a" + raw()[1:].replace(b"ustar", b"USTAR"), END),
    "no name": packed(raw(name=b"", body=b"x"), END),
    "name that is not UTF-8": packed(raw(name=b"\xff\xfe"), END),
    "cut": pack(TREE)[:-100],
    "cut checksum": pack(TREE)[:-4],
    "flipped checksum": pack(TREE)[:-8] + bytes(8),
    "not packed": gzip.decompress(pack(TREE)),
    "zip": b"PK\x03\x04" + bytes(100),
    "nothing": b"",
    "text": b"hello",
    "gzip of text": gzip.compress(b"hello " * 1000),
    "gzip of nothing": gzip.compress(b""),
    "text after the archive": pack(TREE) + b"garbage",
}  # fmt: skip
BOMBS = {
    "a size of exabytes": lambda: packed(raw(size=binary_size(2**62)), END),
    "zeros": lambda: archive_of(member("a", content=bytes(30_000_000))),
    "zeros behind the end": lambda: gzip.compress(gzip.decompress(pack(TREE)) + bytes(30_000_000)),
    "zeros in a header": lambda: packed(
        raw(kind=b"x", size=b"00200000000", body=bytes(0o200000000)), raw(), END
    ),
    "many members": lambda: archive_of(
        *[member(f"a{n}", content=os.urandom(9)) for n in range(10_001)]
    ),
    "many directories": lambda: archive_of(
        *[member(f"d{n}-{os.urandom(40).hex()}", tarfile.DIRTYPE, b"") for n in range(10_001)]
    ),
}


def everything_in(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


@pytest.mark.parametrize("data", ATTACKS.values(), ids=ATTACKS)
def test_a_hostile_archive_is_refused_and_writes_nothing_outside(data, tmp_path):
    with pytest.raises(InvalidError):
        unpack(data)
    with pytest.raises(InvalidError):
        unpack_to(data, tmp_path / "fresh")
    assert everything_in(tmp_path)[0] == "fresh"
    assert not any(path.is_symlink() for path in tmp_path.rglob("*"))


@pytest.mark.parametrize("build", BOMBS.values(), ids=BOMBS)
def test_a_bomb_is_refused_before_it_is_large(build):
    data = build()
    with pytest.raises(TooLargeError):
        unpack(data)


def test_modes_owners_and_times_of_others_do_not_matter():
    odd = archive_of(
        member("a", mode=0o6777, uid=0, uname="root", mtime=2**31),
        member("b", mode=0o000),
        member("./c/d"),
        member("e", tarfile.DIRTYPE, b"", mode=0o1777),
        member(".", tarfile.DIRTYPE, b""),
    )
    assert unpack(odd).files == {
        "a": SourceFile(b"x", executable=True),
        "b": SourceFile(b"x"),
        "c/d": SourceFile(b"x"),
    }


def test_archives_of_other_programs_are_read():
    for form in (tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT):
        assert list(unpack(archive_of(member("a/" + "b" * 90), form=form)).files) == [
            "a/" + "b" * 90
        ]
