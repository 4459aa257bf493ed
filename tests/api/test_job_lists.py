"""Lists of jobs: filters, both styles of paging, counts."""

from __future__ import annotations

import pytest

from tests.api.world import a_row, problem_in, run_one


def test_the_list_shows_jobs_newest_first(world):
    older, newer = world.execute(), world.execute("one")
    assert world.get("/api/jobs").json_body == {
        "items": [a_row(world, newer, task_name="one"), a_row(world, older)],
        "total": 2,
        "next_cursor": None,
    }


@pytest.mark.parametrize(
    ("query", "count"),
    [
        ("", 3),
        ("?workspace=shop", 3),
        ("?workspace=elsewhere", 0),
        ("?workspace=shop&task_name=one", 2),
        ("?status=completed", 1),
        ("?status=pending&workspace=shop", 2),
        ("?source_type=api", 3),
        ("?source_type=webhook", 0),
        ("?search=SHI", 1),
        ("?search=shop", 3),
        ("?search=nothing", 0),
        ("?limit=2", 2),
        ("?limit=0", 1),
        ("?limit=-5", 1),
        ("?limit=100000", 3),
        ("?offset=2", 1),
        ("?offset=20", 0),
        ("?unknown=1", 3),
    ],
)
def test_the_list_is_filtered(world, query, count):
    run_one(world)
    world.execute()
    world.execute("one")
    assert len(world.get(f"/api/jobs{query}").json_body["items"]) == count


@pytest.mark.parametrize(
    ("query", "pointer"),
    [
        ("task_name=ship", "/task_name"),
        ("task_name=ship&workspace=shop&search=a", "/task_name"),
        ("status=done", "/status"),
        ("source_type=magic", "/source_type"),
        ("search=" + "a" * 201, "/search"),
        ("limit=ten", "/limit"),
        ("offset=-1", "/offset"),
        ("offset=x", "/offset"),
    ],
)
def test_a_wrong_filter_is_refused_where_it_is_wrong(world, query, pointer):
    problem = problem_in(world.get(f"/api/jobs?{query}"), 400, "invalid")
    assert [error["pointer"] for error in problem["errors"]] == [pointer]


def test_the_total_counts_what_other_pages_hold(world):
    for _ in range(5):
        world.execute()
    page = world.get("/api/jobs?limit=2&offset=2").json_body
    assert (len(page["items"]), page["total"]) == (2, 5)


def test_an_offset_too_deep_points_at_the_cursor(world):
    problem = problem_in(world.get("/api/jobs?offset=10001"), 400, "invalid")
    assert "next_cursor" in problem["detail"]


def walk_by_cursor(world, query):
    found, url = [], f"/api/jobs?cursor=&{query}"
    while url:
        answer = world.get(url)
        assert "total" not in answer.json_body
        found += [job["job_id"] for job in answer.json_body["items"]]
        cursor = answer.json_body["next_cursor"]
        link = answer.headers.get("Link")
        assert (cursor is None) == (link is None)
        url = link and link.split(">")[0].lstrip("<")
    return found


def walk_by_offset(world, query, limit):
    found = []
    while True:
        page = world.get(f"/api/jobs?{query}&offset={len(found)}").json_body
        found += [job["job_id"] for job in page["items"]]
        if len(page["items"]) < limit:
            return found


@pytest.mark.parametrize("limit", [1, 3, 4, 13, 200])
def test_walking_by_cursor_and_by_offset_sees_the_same(world, limit):
    world.publish("other")
    for number in range(12):
        world.execute("one", ws="other" if number % 3 else "shop")
        world.clock.tick(number % 2)
    for query in (f"limit={limit}", f"limit={limit}&workspace=other&task_name=one"):
        by_cursor = walk_by_cursor(world, query)
        assert by_cursor == walk_by_offset(world, query, limit)
        assert len(by_cursor) == len(set(by_cursor)) == (8 if "other" in query else 12)


def test_a_last_page_that_is_full_leads_nowhere(world):
    for _ in range(4):
        world.execute("one")
    for query in ("offset=2", f"cursor={world.get('/api/jobs?limit=2').json_body['next_cursor']}"):
        page = world.get(f"/api/jobs?limit=2&{query}").json_body
        assert (len(page["items"]), page["next_cursor"]) == (2, None)


def test_a_job_that_comes_in_between_moves_no_cursor(world):
    jobs = [world.execute("one") for _ in range(4)]
    first = world.get("/api/jobs?limit=2").json_body
    world.clock.tick(1)
    world.execute("one")
    second = world.get(f"/api/jobs?limit=2&cursor={first['next_cursor']}").json_body
    seen = [job["job_id"] for job in first["items"] + second["items"]]
    assert seen == jobs[::-1]


def a_cursor(world):
    for _ in range(3):
        world.execute("one")
    return world.get("/api/jobs?limit=1").json_body["next_cursor"]


@pytest.mark.parametrize(
    "spoil", [lambda c: c[:-1], lambda c: "A" + c[1:], lambda c: "!" + c, lambda _: "e30"]
)
def test_a_tampered_cursor_is_refused(world, spoil):
    cursor = spoil(a_cursor(world))
    detail = problem_in(world.get(f"/api/jobs?cursor={cursor}"), 400, "invalid")["detail"]
    assert detail.startswith("the cursor was not made here")


def test_a_cursor_of_another_filter_is_refused(world):
    cursor = a_cursor(world)
    assert world.get(f"/api/jobs?limit=3&cursor={cursor}").status_code == 200
    answer = world.get(f"/api/jobs?status=pending&cursor={cursor}")
    assert "another filter" in problem_in(answer, 400, "invalid")["detail"]


def test_a_cursor_of_another_installation_is_refused(world, monkeypatch):
    from chalicelib import settings  # noqa: PLC0415 - only to forget what was read

    cursor = a_cursor(world)
    monkeypatch.setenv("STROEM_CURSOR_KEY", "another")
    settings.access.cache_clear()
    problem_in(world.get(f"/api/jobs?cursor={cursor}"), 400, "invalid")


def test_jobs_are_counted_by_status(world):
    run_one(world)
    run_one(world, exit_code=1)
    world.execute()
    assert world.get("/api/stats").json_body == {
        "pending": 1,
        "running": 0,
        "completed": 1,
        "failed": 1,
        "cancelled": 0,
        "skipped": 0,
    }
