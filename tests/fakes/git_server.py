"""A git server on loopback over HTTP, and a repository in it to commit to."""

from __future__ import annotations

import base64
import threading
from contextlib import contextmanager
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from dulwich.object_store import iter_tree_contents
from dulwich.objects import Blob, Commit, Tag, Tree
from dulwich.refs import Ref
from dulwich.repo import MemoryRepo
from dulwich.server import DictBackend
from dulwich.web import HTTPGitApplication, make_wsgi_chain

ANN = b"Ann Example <ann@example.com>"
PLAIN, PROGRAM, LINK = 0o100644, 0o100755, 0o120000


class Repository:
    """A repository in memory; each commit replaces all files."""

    def __init__(self):
        self.repo = MemoryRepo()
        self.seconds = 1_700_000_000

    def commit(self, files, message="Change it\n\nAnd more", branch="main"):
        """Write the files, `path: text` or `path: (mode, bytes)`; return the commit's id."""
        store = self.repo.object_store
        root = self._tree({tuple(p.split("/")): f for p, f in files.items()}, store)
        made = Commit()
        made.tree = root
        head = Ref(f"refs/heads/{branch}".encode())
        made.parents = [self.repo.refs[head]] if head in self.repo.refs else []
        made.author = made.committer = ANN
        self.seconds += 60
        made.author_time = made.commit_time = self.seconds
        made.author_timezone = made.commit_timezone = 0
        made.message = message.encode()
        store.add_object(made)
        self.repo.refs[head] = made.id
        return made.id.decode()

    def tag(self, name, commit, *, annotated=False):
        target = commit.encode()
        if annotated:
            tag = Tag()
            tag.name, tag.tagger, tag.message = name.encode(), ANN, b"release"
            tag.tag_time, tag.tag_timezone = self.seconds, 0
            tag.object = (Commit, target)
            self.repo.object_store.add_object(tag)
            target = tag.id
        self.repo.refs[Ref(f"refs/tags/{name}".encode())] = target

    def paths(self, commit):
        tree = self.repo[commit.encode()].tree
        return [e.path.decode() for e in iter_tree_contents(self.repo.object_store, tree)]

    def _tree(self, files, store):
        tree = Tree()
        for name in sorted({path[0] for path in files}):
            if (name,) in files:
                mode, content = _file(files[(name,)])
                blob = Blob.from_string(content)
                store.add_object(blob)
                tree.add(name.encode(), mode, blob.id)
            else:
                inner = {path[1:]: f for path, f in files.items() if path[0] == name}
                tree.add(name.encode(), 0o040000, self._tree(inner, store))
        store.add_object(tree)
        return tree.id


def _file(given):
    return given if isinstance(given, tuple) else (PLAIN, given.encode())


class Server:
    """Where the repository is to be reached; `asked` are the paths and credentials that came."""

    def __init__(self, repository, token=None):
        self.repository = repository
        self.token = token
        self.asked = []
        self.url = ""
        self.moved_to = None

    def answer(self, app):
        def guarded(environ, start_response):
            given = environ.get("HTTP_AUTHORIZATION", "")
            self.asked.append((environ["PATH_INFO"], given))
            if self.moved_to:
                place = self.moved_to + environ["PATH_INFO"] + "?" + environ["QUERY_STRING"]
                start_response("302 Found", [("Location", place)])
                return [b""]
            if self.token is not None and self.token not in _password(given):
                start_response("401 Unauthorized", [("WWW-Authenticate", 'Basic realm="git"')])
                return [b"who are you?"]
            return app(environ, start_response)

        return guarded


def _password(header):
    kind, _, rest = header.partition(" ")
    return base64.b64decode(rest).decode().split(":", 1) if kind == "Basic" else []


class _Quiet(WSGIRequestHandler):
    def log_message(self, *args):
        pass


class _Loud(WSGIServer):
    def handle_error(self, request, client_address):
        """Say nothing: clients of the tests hang up early."""


@contextmanager
def serving(repository, token=None, name="/shop.git"):
    """Serve the repository on loopback; with a token, only to those who show it."""
    server = Server(repository, token)
    app = make_wsgi_chain(DictBackend({name.encode(): repository.repo, name: repository.repo}))
    assert isinstance(HTTPGitApplication, type)
    httpd = make_server(
        "127.0.0.1", 0, server.answer(app), server_class=_Loud, handler_class=_Quiet
    )
    server.url = f"http://127.0.0.1:{httpd.server_port}{name}"
    thread = threading.Thread(target=httpd.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield server
    finally:
        httpd.shutdown()
        thread.join()
        httpd.server_close()
