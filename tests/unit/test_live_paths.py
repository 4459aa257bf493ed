"""Where live connections lead: the front door's mapping and the CDN's function say the same."""

from __future__ import annotations

import json
import subprocess
from urllib.parse import parse_qsl, urlsplit

import pytest

from infra import package
from infra.dev.node import node
from infra.local import live_paths

CDN = package.ROOT / "infra" / "cdn"
JOB = "0199c0de-0000-7000-8000-00000000abcd"
STREAM = f"/api/jobs/{JOB}/logs/stream"
# What is asked for, and the query that the WebSocket API gets; None: there is no such path.
CASES = {
    "/ws": "",
    "/ws?ticket=abc": "ticket=abc",
    "/ws?ticket=a&job=other&token=t": "ticket=a",
    "/ws?ticket=a&ticket=b": "ticket=a",
    "/ws?Ticket=a": "",
    f"{STREAM}?token=t": f"token=t&job={JOB}",
    f"{STREAM}?token=t&skip_backfill=true": f"token=t&skip_backfill=true&job={JOB}",
    f"{STREAM}?skip_backfill=true&token=t": f"token=t&skip_backfill=true&job={JOB}",
    f"{STREAM}?token=t&job=another": f"token=t&job={JOB}",
    f"{STREAM}?ticket=x": f"job={JOB}",
    f"{STREAM}?token=a%2Bb%26job%3Dx": f"token=a%2Bb%26job%3Dx&job={JOB}",
    f"{STREAM}?token=": f"token=&job={JOB}",
    STREAM: f"job={JOB}",
    "/api/jobs/a%2Fb/logs/stream": None,
    "/api/jobs/x&token=y/logs/stream": None,
    "/api/jobs//logs/stream": None,
    f"/api/jobs/{'a' * 65}/logs/stream": None,
}
PAGES = {
    "/": "/index.html",
    "/jobs/0199": "/index.html",
    "/jobs/": "/index.html",
    "/assets/app.3f2a.js": "/assets/app.3f2a.js",
    "/favicon.ico": "/favicon.ico",
}


def event_of(target):
    """Return what CloudFront gives its functions: of a name that comes twice, the first value."""
    parts = urlsplit(target)
    query = {}
    for part in filter(None, parts.query.split("&")):
        name, _, value = part.partition("=")
        query.setdefault(name, {"value": value})
    return {"request": {"method": "GET", "uri": parts.path, "querystring": query, "headers": {}}}


@pytest.fixture(scope="module")
def run():
    """Return a way to put targets through a function of the CDN, all in one run of Node.js."""

    def through(file, targets):
        events = json.dumps([event_of(target) for target in targets])
        ask = f"console.log(JSON.stringify({events}.map(handler)))"
        command = [*node(), "--eval", f"{(CDN / file).read_text()}\n{ask}"]
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=300)
        return dict(zip(targets, json.loads(done.stdout), strict=True))

    return through


@pytest.mark.parametrize(("target", "query"), CASES.items())
def test_front_door_takes_a_live_path_to_the_websocket_api(target, query):
    assert live_paths.query_of(target) == query


def test_cdn_takes_a_live_path_to_the_same_place(run):
    for target, answer in run("live.js", CASES).items():
        if CASES[target] is None:
            assert answer["statusCode"] == 404, target
            continue
        assert answer["uri"] == "/live", target
        sent = {name: one["value"] for name, one in answer["querystring"].items()}
        assert sent == dict(part.split("=") for part in CASES[target].split("&") if part), target


def test_no_value_of_a_query_can_name_another_job():
    for target, query in CASES.items():
        if query is not None and target.startswith("/api"):
            assert [v for k, v in parse_qsl(query) if k == "job"] == [JOB]


def test_only_live_paths_are_taken():
    assert all(live_paths.is_live(target) for target in CASES)
    others = ("/", "/wss", "/ws/", f"/api/jobs/{JOB}/logs", f"{STREAM}/more", "/api/ws-ticket")
    assert not any(live_paths.is_live(target) for target in others)


def test_nothing_of_a_live_query_is_shown_and_all_of_another():
    assert live_paths.shown(f"{STREAM}?token=secret") == STREAM
    assert live_paths.shown("/ws?ticket=secret") == "/ws"
    assert live_paths.shown("/api/jobs/a%20b/logs/stream?token=x").endswith("stream")
    assert live_paths.shown("/api/jobs/a/b/logs/stream/?token=x").endswith("stream/")
    assert live_paths.shown("/api/jobs?limit=1") == "/api/jobs?limit=1"
    assert live_paths.shown("http://127.0.0.1/ws?ticket=secret") == "…"


def test_cdn_opens_pages_without_a_file_by_the_one_page_there_is(run):
    answers = run("pages.js", PAGES)
    assert {target: answer["uri"] for target, answer in answers.items()} == PAGES


def test_functions_of_the_cdn_are_small_enough_for_it():
    for file in CDN.glob("*.js"):
        assert len(file.read_bytes()) < 10_240
