"""Webhooks in and out on the deployed stack, as senders and receivers see them."""

from __future__ import annotations

import hmac
import json
import threading
import urllib.error
import urllib.request
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from tests.e2e.running_stack import eventually
from tests.e2e.workers import a_worker

SECRET = "octopus-in-the-garden"
KEY = "whsec_bm90LWEtcmVhbC1rZXktYnV0LWxvbmctZW5vdWdo"
WORKSPACE = """
tasks:
  echo:
    notify:
      - {{on: [completed, failed], url: "http://127.0.0.1:{port}/told?x=1", secret: {key}}}
    flow:
      say:
        type: script
        script: |
          echo 'OUTPUT: {{"got": "{{{{ input.body.ref }}}}"}}'
triggers:
  gh: {{type: webhook, name: gh, task: echo, hmac: {{scheme: github, secret: {secret}}}}}
  now: {{type: webhook, name: now, task: echo, secret: {secret}, mode: sync, timeout_secs: 25}}
"""


class Receiver(ThreadingHTTPServer):
    """Takes what is signed, as a user of the reference library would.

    The port is its own from the beginning, and closed until `server_activate`.
    """

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler, bind_and_activate=False)
        self.server_bind()
        self.events = []


class Handler(BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        try:
            event = Webhook(KEY).verify(body, dict(self.headers))
        except WebhookVerificationError:
            self.send_response(401)
        else:
            self.server.events.append((self.path, event))
            self.send_response(204)
        self.end_headers()

    def log_message(self, *args):
        return


@contextmanager
def receiving(receiver):
    receiver.server_activate()
    thread = threading.Thread(target=receiver.serve_forever)
    thread.start()
    try:
        yield receiver.events
    finally:
        receiver.shutdown()
        thread.join()


@pytest.fixture
def receiver():
    with Receiver() as bound:
        yield bound


@pytest.fixture
def hooked(own_stack, tmp_path, receiver):
    folder = tmp_path / "workspace"
    folder.mkdir()
    text = WORKSPACE.format(port=receiver.server_port, key=KEY, secret=SECRET)
    (folder / "tasks.yaml").write_text(text)
    own_stack.options = (*own_stack.options, "--workspace", f"default={folder}")
    own_stack.start()
    with a_worker(own_stack, tmp_path):
        yield own_stack


def call(stack, path, body, **headers):
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    named["Content-Type"] = "application/json"
    request = urllib.request.Request(stack.url + path, body, named)  # noqa: S310 - loopback
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310 - loopback
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


def deliveries(stack, job_id):
    return json.loads(stack.get(f"/api/jobs/{job_id}/deliveries")[1])["items"]


@pytest.mark.slow
def test_webhooks_come_in_and_go_out_and_a_receiver_that_was_down_is_told_later(hooked, receiver):
    body = json.dumps({"ref": "refs/heads/main"}).encode()
    signature = "sha256=" + hmac.digest(SECRET.encode(), body, "sha256").hex()
    assert call(hooked, "/hooks/gh", body)[0] == 401
    status, started = call(hooked, "/hooks/gh", body, X_Hub_Signature_256=signature)
    assert status == 200, started
    assert call(hooked, "/hooks/gh", body, X_Hub_Signature_256=signature)[0] == 409
    job_id = started["job_id"]
    # Once the worker has begun to work, none of the 25 s of the next one is its start.
    eventually(lambda: '"completed"' in hooked.get(f"/api/jobs/{job_id}")[1])

    status, ended = call(hooked, "/hooks/now", body, Authorization=f"Bearer {SECRET}")
    assert (status, ended["status"]) == (200, "completed"), ended
    assert ended["output"] == {"say": {"got": "refs/heads/main"}}

    # Nobody listens yet.
    (first,) = eventually(
        lambda: [one for one in deliveries(hooked, job_id) if one["tries"]], within_s=300
    )
    assert "did not answer" in first["tries"][0]["error"]
    assert first["to"] == f"http://127.0.0.1:{receiver.server_port}"
    with receiving(receiver) as events:
        eventually(lambda: len(events) >= 2, within_s=300)
    assert {path for path, _ in events} == {"/told?x=1"}
    told = {event["subject"]: event for _, event in events}
    assert told.keys() == {job_id, ended["job_id"]}
    assert told[job_id]["type"] == "io.stroem.job.completed.v1"
    (last,) = eventually(
        lambda: [one for one in deliveries(hooked, job_id) if one["state"] == "delivered"]
    )
    assert last["tries"][-1]["status"] == 204
    assert SECRET not in "".join(path.read_text() for path in hooked.data.rglob("frontdoor.log"))
