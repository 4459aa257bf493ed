"""The corpora of attacks: not one entry may pass. What each is for is said in its file."""

from __future__ import annotations

import json
import subprocess
from html.parser import HTMLParser

import pytest

from chalicelib.api import approvals_page, device_page
from chalicelib.cli.output import plain
from chalicelib.domain.addresses import check_address, literal, read_url
from chalicelib.domain.errors import InvalidError, PermissionDeniedError
from chalicelib.domain.names import is_workspace_name
from chalicelib.domain.reading import read_workspace
from chalicelib.domain.sources import SourceFile, WorkspaceTree
from chalicelib.domain.template import Renderer, unquoted_in_shell
from chalicelib.workspaces.limits import check_path
from tests.corpora.reading import corpus

LEAST = {
    "path_traversals": 40,
    "encoded_traversals": 20,
    "shell_splices": 50,
    "markup_lines": 60,
    "ssrf_spellings": 250,
}


@pytest.mark.parametrize("name", LEAST)
def test_a_corpus_has_as_many_different_entries_as_it_must(name):
    entries = corpus(name)
    assert len(entries) == len(set(entries)) >= LEAST[name]


@pytest.mark.parametrize("path", corpus("path_traversals"))
def test_a_path_that_leads_away_is_no_path_and_no_name(path):
    with pytest.raises(InvalidError):
        check_path(path)
    assert not is_workspace_name(path)


def called(url):
    found = read_url(url)
    assert literal(found.host) is not None, f"{found.host} would be looked up"
    check_address(found.host)


@pytest.mark.parametrize("url", corpus("ssrf_spellings"))
def test_an_address_inside_is_never_called(url):
    with pytest.raises((InvalidError, PermissionDeniedError)):
        called(url)


def test_a_quoted_value_reaches_the_shell_as_one_word():
    values = corpus("shell_splices")
    words = [Renderer().render("{{ v | quote }}", {"v": value}) for value in values]
    script = "printf '%s\\0' " + " ".join(words)
    done = subprocess.run(["sh", "-c", script], capture_output=True, check=True, timeout=10)
    assert done.stdout.decode().split("\0")[:-1] == values


@pytest.mark.parametrize("before", ["echo ", 'echo "', "echo '", "x=", "cat <<E\n", "$(", "# "])
def test_a_value_that_is_not_quoted_is_warned_of_wherever_it_stands(before):
    for spliced in ("input.v", "input.v | upper", "input.v | quote | trim", "a.output['x']"):
        assert unquoted_in_shell(f"{before}{{{{ {spliced} }}}}")
    assert not unquoted_in_shell(f"{before}{{{{ input.v | quote }}}}")


class Seen(HTMLParser):
    """Tags and attributes that a browser would see."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.attributes = set(), set()
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}


@pytest.mark.parametrize("line", corpus("markup_lines"))
def test_a_line_is_shown_and_does_nothing(line):
    pages = [
        approvals_page.notice(200, line, line),
        device_page.form(line, line, InvalidError(line)),
        device_page.done(line, let_in=True),
    ]
    bare = [
        approvals_page.notice(200, "x", "x"),
        device_page.form("x", "x", InvalidError("x")),
        device_page.done("x", let_in=True),
    ]
    for shown, harmless in zip(pages, bare, strict=True):
        found, expected = Seen(shown.body), Seen(harmless.body)
        assert (found.tags, found.attributes) == (expected.tags, expected.attributes)
        assert "default-src 'none'" in shown.headers["Content-Security-Policy"]
    # What a terminal gets.
    assert all(char == "\t" or char.isprintable() for char in plain(line))


@pytest.mark.parametrize("path", corpus("path_traversals"))
def test_no_source_of_an_action_leads_out_of_its_workspace(path):
    action = {"type": "script", "source": path}
    written = {"actions": {"a": action}, "tasks": {"t": {"flow": {"s": {"action": "a"}}}}}
    file = SourceFile(json.dumps(written).encode())
    assert read_workspace(WorkspaceTree({".workflows/w.yaml": file})).errors
