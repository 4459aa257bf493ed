"""Pushes that the hosts of git tell of, over the API: who is heard, and when."""

from __future__ import annotations

import hmac
from hashlib import sha256

from chalicelib.workspaces.sources import poll
from tests.api.sources import HOOK, ONE, TWO, later, put, tasks
from tests.api.world import problem_in


def signed(body, secret=HOOK):
    return "sha256=" + hmac.new(secret.encode(), body, sha256).hexdigest()


def test_a_push_that_github_signed_or_gitlab_sent_is_read_at_once(git):
    git.repository.commit(ONE)
    put(git)
    body = b'{"ref": "refs/heads/main"}'
    for files, expected, headers in (
        (TWO, "two", {"X_Hub_Signature_256": signed(body)}),
        (ONE, "one", {"X_Gitlab_Token": HOOK}),
    ):
        git.repository.commit(files)
        later(git, 6)
        answer = git.post("/hooks/_workspace/repo", body, **headers)
        assert answer.status_code == 202, answer.body
        assert answer.json_body == {"workspace": "repo", "refreshed": True}
        assert tasks(git) == [expected]


def test_a_second_push_within_five_seconds_is_left_to_the_next_tick(git):
    git.repository.commit(ONE)
    put(git)
    git.repository.commit(TWO)
    answer = git.post("/hooks/_workspace/repo", b"{}", X_Gitlab_Token=HOOK)
    assert (answer.status_code, answer.json_body["refreshed"]) == (202, False)
    assert poll(git.engine, git.clock.now()).changed == 1
    assert tasks(git) == ["two"]


def test_a_push_that_is_not_signed_is_answered_as_if_there_were_no_such_hook(git):
    git.repository.commit(ONE)
    put(git)
    body = b"{}"
    wrong = [
        ("/hooks/_workspace/repo", {}),
        ("/hooks/_workspace/repo", {"X_Hub_Signature_256": signed(body, "other")}),
        ("/hooks/_workspace/repo", {"X_Hub_Signature_256": signed(b"other")}),
        ("/hooks/_workspace/repo", {"X_Gitlab_Token": "other"}),
        ("/hooks/_workspace/repo", {"X_Gitlab_Token": ""}),
        ("/hooks/_workspace/none", {"X_Gitlab_Token": HOOK}),
        ("/hooks/_workspace/shop", {"X_Gitlab_Token": ""}),
    ]
    answers = [
        problem_in(git.post(path, body, **headers), 404, "not-found") for path, headers in wrong
    ]
    assert all(answer == answers[0] for answer in answers)


def test_a_source_without_a_hook_secret_hears_nobody(git):
    git.repository.commit(ONE)
    put(git, hook_secret=None)
    answer = git.post("/hooks/_workspace/repo", b"{}", X_Gitlab_Token="")
    assert answer.status_code == 404
