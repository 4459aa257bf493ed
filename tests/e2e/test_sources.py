"""Workspaces from folders and from git on the real stack, and a step of another workspace."""

from __future__ import annotations

import json

import boto3
import pytest

from tests.e2e.running_stack import RunningStack, eventually
from tests.fakes.git_server import PROGRAM, Repository, serving

TOKEN = "ghp_a-token-that-nobody-sees"
SECRET = "what-only-the-owner-knows"
CALLER = """
secrets: {WHO: caller}
tasks:
  daily:
    flow:
      mine: {type: script, script: "echo I am $STROEM_WORKSPACE"}
      theirs:
        action: owner.recalc
        depends_on: [mine]
        input: {day: "monday for {{ secret.WHO }}"}
"""
OWNER = {
    "owner.yaml": f"""
secrets: {{API: {SECRET}}}
actions:
  recalc:
    type: script
    source: scripts/recalc.sh
    env: {{TOKEN: "{{{{ secret.API }}}}", DAY: "{{{{ input.day }}}}"}}
tasks: {{own: {{flow: {{s: {{action: recalc, input: {{day: x}}}}}}}}}}
""",
    "scripts/recalc.sh": (
        PROGRAM,
        b'#!/bin/sh\necho "$DAY: ${#TOKEN} characters $TOKEN"\ncat data.txt\n',
    ),
    "data.txt": "of the owner\n",
}


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A stack that publishes one folder, and may read what lies beside it."""
    root = tmp_path_factory.mktemp("sources")
    folder = root / "watched"
    folder.mkdir()
    (folder / "flow.yaml").write_text(CALLER)
    running = RunningStack(root / "data", options=("--workspace", f"watched={folder}")).start()
    assert running.process.poll() is None, running.said
    running.folder = folder
    yield running
    assert running.stop() == 0, running.said


def ask(stack, path):
    status, body = stack.get(path)
    assert status == 200, body
    return json.loads(body)


def tasks(stack, ws):
    return [task["id"] for task in ask(stack, f"/api/workspaces/{ws}/tasks")]


def ended(stack, task, ws):
    done = stack.stroem("trigger", task, "-w", ws, "-o", "json")
    assert done.returncode == 0, done.stderr
    job_id = json.loads(done.stdout)["job_id"]
    eventually(lambda: ask(stack, f"/api/jobs/{job_id}")["completed_at"], 120)
    return ask(stack, f"/api/jobs/{job_id}")


def log_of(stack, job):
    return ask(stack, f"/api/jobs/{job['job_id']}/logs")["logs"]


def test_what_is_written_in_a_folder_is_in_force_without_being_asked_for(place):
    (place.folder / "more.yaml").write_text(
        "tasks: {fresh: {flow: {s: {type: script, script: echo fresh}}}}\n"
    )
    eventually(lambda: "fresh" in tasks(place, "watched"))
    good = ask(place, "/api/workspaces")
    (place.folder / "more.yaml").write_text("tasks:\n  fresh: {flow: {s: {action: none}}}\n")
    eventually(lambda: "more.yaml:2" in json.dumps(ask(place, "/api/workspaces")))
    assert ask(place, "/api/workspaces")[0]["revision"] == good[0]["revision"]
    (place.folder / "more.yaml").unlink()
    eventually(lambda: "fresh" not in tasks(place, "watched"))


def test_a_private_repository_is_read_by_a_token_that_stays_in_the_vault(place):
    ssm = boto3.client(
        "ssm",
        endpoint_url=place.status["endpoint"],
        region_name="us-east-1",
        aws_access_key_id="local",
        aws_secret_access_key="local",
    )
    ssm.put_parameter(Name="/stroem/_git/token", Value=TOKEN, Type="SecureString", Overwrite=True)
    repository = Repository()
    first = repository.commit(OWNER, "First commit")
    with serving(repository, TOKEN) as server:
        added = place.stroem(
            *("workspace", "add", "owner", "--git", server.url),
            *("--git-token", "ref+awsssm:///stroem/_git/token"),
        )
        assert added.returncode == 0, added.stderr
        assert tasks(place, "owner") == ["own"]
        # A step of the other workspace, with its files and its secret.
        job = ended(place, "daily", "watched")
        assert job["status"] == "completed", job
        theirs = job["steps"][1]
        revision = ask(place, "/api/workspaces/owner/source")["revision"]
        assert (theirs["action_workspace"], theirs["action_revision"]) == ("owner", revision)
        said = log_of(place, job)
        assert "I am watched" in said
        assert f"monday for caller: {len(SECRET)} characters" in said.replace("••••••", "caller")
        assert "of the owner" in said
        assert SECRET not in said + json.dumps(job)
        # A new commit is picked up by a refresh, and shown in the history.
        repository.commit({**OWNER, "data.txt": "changed\n"}, "Second commit")
        eventually(lambda: place.stroem("workspace", "refresh", "owner").returncode == 0)
        shown = place.stroem("workspace", "history", "-w", "owner", "-o", "json")
        history = json.loads(shown.stdout)
        assert [one["message"] for one in history] == ["Second commit", "First commit"]
        assert history[1]["commit"] == first
        assert "changed" in log_of(place, ended(place, "daily", "watched"))
        back = place.stroem("workspace", "rollback", "-w", "owner")
        assert back.returncode == 0, back.stderr
        assert "of the owner" in log_of(place, ended(place, "daily", "watched"))
        # A commit that comes by itself: the tick asks within its interval.
        repository.commit({**OWNER, "data.txt": "by itself\n"}, "Third commit")
        eventually(lambda: "Third commit" in json.dumps(_history(place)), 300)
    assert TOKEN not in json.dumps(ask(place, "/api/workspaces/owner/source"))


def _history(stack):
    return ask(stack, "/api/workspaces/owner/revisions")


def test_a_library_is_used_from_every_workspace(place):
    lib = place.folder.parent / "lib"
    (lib / "bin").mkdir(parents=True)
    (lib / "lib.yaml").write_text(
        "actions: {greet: {type: script, source: bin/greet.sh}}\n"
        "tasks: {hello: {flow: {s: {action: greet}}}}\n"
    )
    script = lib / "bin" / "greet.sh"
    script.write_text("#!/bin/sh\necho greetings from $PWD/bin\n")
    script.chmod(0o755)
    added = place.stroem("library", "add", "lib", "--folder", str(lib))
    assert added.returncode == 0, added.stderr
    job = ended(place, "lib.hello", "watched")
    assert job["status"] == "completed", job
    assert "greetings from" in log_of(place, job)
