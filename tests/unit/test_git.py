"""Repositories are read over the wire, with the limits of an upload and no word of a token."""

from __future__ import annotations

from pathlib import Path

import pytest

from chalicelib.domain.errors import InvalidError, TooLargeError, UnavailableError
from chalicelib.workspaces import git
from chalicelib.workspaces.git import GitAccess, RemoteGit
from chalicelib.workspaces.git_transport import Address, address_of, ssh_command
from tests.fakes.git_server import LINK, PLAIN, PROGRAM, Repository, serving

TOKEN = "ghp_a-token-that-nobody-sees"
FILES = {
    "shop.yaml": "actions: {}",
    "scripts/run.sh": (PROGRAM, b"#!/bin/sh\n"),
    "a/b/ø.txt": "ø",
}


@pytest.fixture
def repository():
    return Repository()


def test_a_branch_is_read_with_files_execute_bits_author_and_first_line(repository):
    commit = repository.commit(FILES, "Ship it\n\nand why")
    with serving(repository) as server:
        access = GitAccess(server.url, "main")
        assert RemoteGit().head(access) == commit
        found = RemoteGit().checkout(access, commit)
    assert (found.commit, found.message) == (commit, "Ship it")
    assert found.author == "Ann Example <ann@example.com>"
    assert sorted(found.tree.files) == sorted(FILES)
    assert found.tree.files["scripts/run.sh"].executable
    assert not found.tree.files["shop.yaml"].executable
    assert found.tree.files["a/b/ø.txt"].content == "ø".encode()


def test_a_ref_may_be_a_tag_an_annotated_tag_or_a_commit(repository):
    old = repository.commit({"a": "1"})
    repository.tag("v1", old)
    repository.tag("v1-said", old, annotated=True)
    new = repository.commit({"a": "2"})
    with serving(repository) as server:
        for ref, expected in (("v1", old), ("v1-said", old), (old, old), ("main", new)):
            access = GitAccess(server.url, ref)
            commit = RemoteGit().head(access)
            found = RemoteGit().checkout(access, commit)
            assert found.commit == expected, ref
            content = found.tree.files["a"].content
            assert content == (b"1" if expected == old else b"2")


def test_a_name_that_is_neither_branch_nor_tag_is_told(repository):
    repository.commit({"a": "1"})
    with serving(repository) as server, pytest.raises(InvalidError, match="no branch or tag 'x'"):
        RemoteGit().head(GitAccess(server.url, "x"))


def test_a_commit_that_is_not_there_is_told(repository):
    repository.commit({"a": "1"})
    with serving(repository) as server, pytest.raises((InvalidError, UnavailableError)):
        RemoteGit().checkout(GitAccess(server.url, "main"), "ab" * 20)


def test_a_token_opens_what_is_closed_and_stands_in_no_error(repository):
    commit = repository.commit(FILES)
    with serving(repository, TOKEN) as server:
        access = GitAccess(server.url, "main", token=TOKEN)
        assert RemoteGit().head(access) == commit
        assert sorted(RemoteGit().checkout(access, commit).tree.files) == sorted(FILES)
        for token in (None, "wrong-token"):
            with pytest.raises(InvalidError, match="refused us: check the token") as caught:
                RemoteGit().head(GitAccess(server.url, "main", token=token))
            assert "wrong-token" not in str(caught.value)
    assert TOKEN not in repr(access)


def test_the_token_goes_to_no_host_that_the_server_sends_us_to(repository):
    repository.commit(FILES)
    with serving(repository) as thief, serving(repository) as server:
        server.moved_to = thief.url.removesuffix("/shop.git")
        with pytest.raises(InvalidError, match="sends us to another host"):
            RemoteGit().head(GitAccess(server.url, "main", token=TOKEN))
    assert thief.asked == []


def test_links_and_submodules_are_left_out(repository):
    commit = repository.commit({"a": "1", "link": (LINK, b"/etc/passwd")})
    with serving(repository) as server:
        found = RemoteGit().checkout(GitAccess(server.url, "main"), commit)
    assert sorted(found.tree.files) == ["a"]


@pytest.mark.parametrize("path", ["a/../../x", ".git/config", "sub/.GIT/hooks/x", "a\\b", "x\x07"])
def test_paths_that_leave_the_workspace_are_refused(repository, path):
    commit = repository.commit({path: (PLAIN, b"x")})
    with serving(repository) as server, pytest.raises(InvalidError, match="is refused"):
        RemoteGit().checkout(GitAccess(server.url, "main"), commit)


def test_a_repository_that_sends_too_much_is_cut_off(repository, monkeypatch):
    monkeypatch.setattr(git, "MAX_PACK_BYTES", 1_000)
    noise = bytes((i * i * 31 + i // 7) % 256 for i in range(20_000))
    commit = repository.commit({"a": (PLAIN, noise)})
    with serving(repository) as server, pytest.raises(TooLargeError, match="more than 1000"):
        RemoteGit().checkout(GitAccess(server.url, "main"), commit)


def test_a_server_that_is_not_there_or_speaks_no_git_is_unavailable_or_refused(repository):
    repository.commit({"a": "1"})
    with serving(repository) as server:
        wrong = server.url.replace("shop.git", "none.git")
        with pytest.raises((InvalidError, UnavailableError)):
            RemoteGit().head(GitAccess(wrong, "main"))
        gone = server.url
    with pytest.raises(UnavailableError, match="did not answer as git does"):
        RemoteGit().head(GitAccess(gone, "main"))


# addresses


def test_addresses_are_https_or_ssh():
    assert address_of("https://git.example/a/b.git") == Address(
        "https", "git.example", None, "/a/b.git"
    )
    assert address_of("https://git.example:8443/b").base == "https://git.example:8443"
    assert address_of("ssh://git@git.example:2222/b") == Address(
        "ssh", "git.example", 2222, "/b", "git"
    )
    assert address_of("git@git.example:a/b.git") == Address(
        "ssh", "git.example", None, "a/b.git", "git"
    )


@pytest.mark.parametrize(
    "url",
    [
        "",
        "file:///etc",
        "/srv/repo",
        "http://git.example/a",
        "git://git.example/a",
        "ext::sh -c id",
        "https://user:token@git.example/a",
        "https://token@git.example/a",
        "https://git.example",
        "https://git.example/a?x=1",
        "https://-oProxyCommand=id/a",
        "ssh://-oProxyCommand=id/a",
        "ssh://-x@git.example/a",
        "-x@git.example:a",
        "git@-oProxyCommand=id:a",
        "https://[::1/a",
    ],
)
def test_other_addresses_are_refused(url):
    with pytest.raises(InvalidError):
        address_of(url)


def test_ssh_uses_the_given_key_and_trusts_the_given_hosts_only():
    words = ssh_command("/usr/bin/ssh", Path("/k/key"), Path("/k/hosts"))
    assert words[:4] == ["/usr/bin/ssh", "-F", "/dev/null", "-x"]
    for option in (
        "BatchMode=yes",
        "IdentitiesOnly=yes",
        "IdentityFile=/k/key",
        "StrictHostKeyChecking=yes",
        "UserKnownHostsFile=/k/hosts",
    ):
        assert option in words


def test_ssh_without_a_key_or_host_keys_is_refused(monkeypatch):
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    access = GitAccess("git@git.example:a.git", "main")
    with pytest.raises((InvalidError, UnavailableError), match="ssh"):
        RemoteGit().head(access)
