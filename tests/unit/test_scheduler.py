"""Schedules: one job for each nominal time, whatever becomes of ticks; policies; stops."""

from __future__ import annotations

from datetime import timedelta

import pytest

from chalicelib.domain.errors import UnavailableError
from chalicelib.domain.lifecycle import SourceType
from chalicelib.engine import firing, jobs, pausing, schedules
from chalicelib.engine.due_triggers import fire_due
from chalicelib.engine.ports import JobFilter
from chalicelib.triggers.ticks import on_tick
from chalicelib.workspaces.publish import publish
from tests.api.world import a_tree, an_engine
from tests.fakes.clock import NOON, FakeClock

SHOP = """
secrets: {{API: hunter2-of-the-shop}}
actions:
  say: {{type: script, script: "true"}}
tasks:
  ship:
    input: {{day: {{type: string}}, count: {{type: integer}}}}
    flow:
      only: {{action: say}}
  other:
    flow:
      only: {{action: say}}
triggers:
  often: {{type: scheduler, task: ship, cron: "*/5 * * * *"{more}}}
"""


class Shop:
    """A workspace with one schedule, every five minutes if nothing else is said."""

    def __init__(self, more="", **ports):
        self.clock = FakeClock(NOON - timedelta(seconds=30))
        self.engine = an_engine(self.clock)
        self.publish(more)

    def publish(self, more="", text=SHOP):
        said = more if not more or more.startswith(",") else f", {more}"
        found = publish(self.engine, "shop", a_tree(text.format(more=said)))
        assert found.ok, found.findings
        return found

    def tick(self):
        return on_tick(self.engine, self.clock.tick)

    def fire(self):
        return fire_due(self.engine, self.clock.now() + schedules.AHEAD)

    def jobs(self):
        found = self.engine.jobs.page(JobFilter(workspaces=("shop",)), None, 10_000)
        return sorted(found, key=lambda job: (job.start_at or job.created_at, job.job_id))

    def record(self, name="often"):
        return self.engine.schedules.trigger("shop", name)


def noon(**more):
    return NOON + timedelta(**more)


# one job for each time


def test_a_job_is_made_shortly_before_its_time_and_begins_then():
    shop = Shop()
    shop.fire()
    (job,) = shop.jobs()
    assert (job.source_type, job.source_id) == (SourceType.TRIGGER, "shop/often")
    assert job.start_at == NOON
    assert shop.record().next_at == noon(minutes=5)
    assert shop.engine.queue.receive("script", 0, 1) == []
    shop.clock.move_to(NOON)
    (received,) = shop.engine.queue.receive("script", 0, 1)
    assert received.message.ref.job_id == job.job_id


def test_nothing_is_made_before_the_last_minute():
    shop = Shop()
    shop.clock.tick(seconds=-60)
    assert shop.fire().tried == 0
    assert shop.jobs() == []


def test_ticks_that_come_twice_make_nothing_new():
    shop = Shop()
    for _ in range(3):
        shop.fire()
    assert len(shop.jobs()) == 1


def test_a_tick_that_died_before_the_record_moved_on_makes_no_second_job():
    shop = Shop()
    before = shop.record()
    shop.fire()
    shop.engine.schedules.put(before, shop.record())
    fired = shop.fire()
    assert (fired.tried, fired.made) == (1, 0)
    assert len(shop.jobs()) == 1


def test_seconds_are_met_by_the_queue_and_each_has_its_job():
    shop = Shop()
    shop.publish(text=SHOP.replace("*/5 * * * *", "*/20 * * * * *"))
    shop.tick()
    shop.tick()
    starts = [job.start_at for job in shop.jobs()]
    assert starts == [noon(seconds=20 * n - 20) for n in range(len(starts))]
    assert len(starts) >= 5


def test_jitter_moves_the_beginning_always_by_as_much():
    shop = Shop("jitter: 30s")
    shop.fire()
    (job,) = shop.jobs()
    assert timedelta() <= job.start_at - NOON <= timedelta(seconds=30)
    again = Shop("jitter: 30s")
    again.fire()
    assert [one.start_at for one in again.jobs()] == [job.start_at]


def test_after_its_end_a_schedule_makes_nothing():
    shop = Shop('end_at: "2026-11-21T12:05:00"')
    for _ in range(20):
        shop.tick()
        shop.clock.tick(seconds=25)
    assert [job.start_at for job in shop.jobs()] == [NOON, noon(minutes=5)]
    assert shop.record().next_at is None


# what it hands on


def test_inputs_read_their_time_and_are_typed():
    given = 'input: {day: "{{ trigger.scheduled_local }}", count: "{{ 1 + 2 }}"}'
    shop = Shop(f"timezone: Europe/Copenhagen, {given}")
    shop.fire()
    (job,) = shop.jobs()
    job = shop.engine.jobs.get(job.job_id)
    assert job.input.inline == {"day": "2026-11-21T13:00:00+01:00", "count": 3}


def test_what_reads_secrets_stands_in_no_table():
    shop = Shop('input: {day: "{{ secret.API }}"}')
    shop.fire()
    (job,) = shop.jobs()
    job = shop.engine.jobs.get(job.job_id)
    assert job.input.inline == {"day": "********"}
    assert b"hunter2" in shop.engine.blobs.get(job.secret_input.key)
    assert "hunter2" not in repr(shop.record())


def test_an_input_that_does_not_fit_is_told_of_and_the_next_time_comes():
    shop = Shop("input: {count: many}")
    shop.fire()
    assert shop.jobs() == []
    record = shop.record()
    assert "count: must be a whole number" in record.error
    assert (record.error_at, record.next_at) == (NOON, noon(minutes=5))


# missed


@pytest.mark.parametrize(
    ("policy", "late", "expected"),
    [
        ("skip", [], [180]),
        ("one", [175], [180]),
        ("all", list(range(0, 180, 5)), [180]),
    ],
)
def test_what_was_missed_for_three_hours_goes_by_policy(policy, late, expected):
    shop = Shop(f"on_missed: {policy}")
    shop.clock.move_to(noon(hours=3, seconds=-10))
    for _ in range(3):
        shop.fire()
    ids = {firing.job_id_of("shop", "often", noon(minutes=n)) for n in (*late, *expected)}
    assert {job.job_id for job in shop.jobs()} == ids
    assert shop.record().next_at == noon(minutes=185)


def test_a_time_that_is_a_little_late_is_not_missed():
    shop = Shop()
    shop.clock.move_to(noon(seconds=100))
    shop.fire()
    (job,) = shop.jobs()
    assert job.start_at is None


def test_all_goes_back_one_day_at_most_and_a_pass_has_a_bound():
    shop = Shop("on_missed: all")
    shop.clock.move_to(noon(days=40))
    assert shop.fire().tried == 289
    assert shop.jobs() != []
    shop.publish(
        text=SHOP.replace("*/5 * * * *", "* * * * * *").replace("{more}", ", on_missed: all")
    )
    shop.clock.tick(hours=1)
    assert shop.fire().tried == 300


# concurrency


def test_skip_records_a_job_without_steps_while_another_runs():
    shop = Shop("concurrency: skip")
    shop.tick()
    shop.clock.move_to(noon(minutes=4, seconds=50))
    shop.tick()
    first, second = shop.jobs()
    assert [shop.engine.jobs.get(j.job_id).status for j in (first, second)] == [
        "pending",
        "skipped",
    ]
    assert shop.engine.jobs.load(second.job_id).steps == {}
    assert "one job of this trigger" in shop.engine.jobs.get(second.job_id).reason


def test_a_job_that_stands_under_a_policy_begins_on_its_second():
    shop = Shop("concurrency: skip")
    slept = []
    on_tick(shop.engine, lambda s: (slept.append(s), shop.clock.tick(s)))
    (job,) = shop.jobs()
    assert shop.engine.jobs.get(job.job_id).admitted
    assert shop.engine.slots.line("trigger/shop/often", 9).holders == {job.job_id}
    assert sum(slept[:1]) == 30


def test_cancel_previous_leaves_the_newest():
    shop = Shop("concurrency: cancel_previous")
    for _ in range(3):
        shop.tick()
        shop.clock.tick(minutes=5, seconds=-30)
    found = [shop.engine.jobs.get(job.job_id).status.value for job in shop.jobs()]
    assert found[:-1] == ["cancelled"] * (len(found) - 1)
    assert found[-1] in ("pending", "running")


# stops


@pytest.mark.parametrize("said", [{"paused": True}, {"enabled": False}])
def test_a_trigger_that_is_stopped_makes_nothing_and_takes_back_what_was_made_ahead(said):
    shop = Shop()
    shop.fire()
    schedules.switch(shop.engine, "shop", "often", **said)
    (job,) = shop.jobs()
    assert shop.engine.jobs.get(job.job_id).status == "cancelled"
    shop.clock.tick(hours=1)
    shop.fire()
    assert len(shop.jobs()) == 1
    schedules.switch(shop.engine, "shop", "often", paused=False, enabled=True)
    assert shop.record().next_at == noon(hours=1)


def test_a_paused_task_lets_times_pass_and_they_are_not_missed():
    shop = Shop("on_missed: all")
    shop.fire()
    pausing.pause_task(shop.engine, "shop", "ship", paused=True)
    assert [shop.engine.jobs.get(job.job_id).status for job in shop.jobs()] == ["cancelled"]
    for _ in range(30):
        shop.clock.tick(minutes=1)
        shop.fire()
    pausing.pause_task(shop.engine, "shop", "ship", paused=False)
    shop.clock.tick(minutes=5)
    shop.fire()
    ids = {firing.job_id_of("shop", "often", noon(minutes=n)) for n in (0, 30, 35)}
    assert {job.job_id for job in shop.jobs()} == ids


def test_a_trigger_that_its_file_disables_can_be_enabled_here():
    shop = Shop("enabled: false")
    assert shop.record().next_at is None
    schedules.switch(shop.engine, "shop", "often", enabled=True)
    shop.fire()
    assert len(shop.jobs()) == 1
    shop.publish("enabled: false, jitter: 1s")
    assert shop.record().next_at is not None


def test_what_an_operator_said_outlives_a_revision_without_the_trigger():
    shop = Shop()
    schedules.switch(shop.engine, "shop", "often", paused=True)
    shop.publish(text=SHOP.partition("triggers:")[0])
    shop.publish()
    assert shop.record().paused
    assert shop.record().next_at is None


# revisions


def test_a_new_revision_keeps_the_place_of_a_schedule_that_is_the_same():
    shop = Shop("on_missed: all")
    shop.clock.move_to(noon(minutes=12))
    shop.publish("on_missed: all, input: {day: x}")
    shop.fire()
    assert len(shop.jobs()) == 3


def test_a_schedule_whose_times_changed_begins_with_its_next_time():
    shop = Shop("on_missed: all")
    shop.clock.move_to(noon(minutes=12))
    shop.publish(text=SHOP.replace("*/5", "*/7").replace("{more}", ", on_missed: all"))
    assert shop.record().next_at == noon(minutes=14)


def test_a_trigger_that_is_gone_leaves_no_record_and_no_job_ahead():
    shop = Shop()
    shop.fire()
    shop.publish(text=SHOP.partition("triggers:")[0])
    assert shop.record() is None
    assert [shop.engine.jobs.get(job.job_id).status for job in shop.jobs()] == ["cancelled"]


def test_a_revision_that_came_another_way_is_taken_up_by_the_tick():
    shop = Shop()
    old = shop.engine.registry.workspace("shop")
    shop.publish(text=SHOP.replace("often", "seldom"))
    new = shop.engine.registry.workspace("shop")
    assert shop.record() is None
    shop.engine.registry.put_workspace(old, new)
    shop.fire()
    assert shop.record().next_at is not None
    assert shop.record("seldom") is None


# by hand


def test_a_trigger_runs_by_hand_even_when_it_is_disabled_and_once_for_a_key():
    shop = Shop("enabled: false")
    first = firing.run_now(shop.engine, "shop", "often", "k")
    assert firing.run_now(shop.engine, "shop", "often", "k").job_id == first.job_id
    assert firing.run_now(shop.engine, "shop", "often").job_id != first.job_id
    assert first.source_id == "shop/often"


def test_no_key_of_a_request_stands_for_a_nominal_time():
    shop = Shop()
    key = "trigger\toften\t2026-11-21T12:00:00Z"
    made = jobs.create(
        shop.engine, jobs.JobRequest(workspace="shop", task="ship", idempotency_key=key)
    )
    assert made.job_id != firing.job_id_of("shop", "often", NOON)


# refresh, faults


def test_a_schedule_that_wants_newest_files_has_them_looked_for_first():
    class Refresher:
        def __init__(self):
            self.asked = []

        def refresh(self, workspace):
            self.asked.append(workspace)
            raise UnavailableError("the source did not answer")

    shop = Shop("force_refresh: true")
    object.__setattr__(shop.engine, "refresher", Refresher())
    shop.fire()
    assert shop.engine.refresher.asked == ["shop"]
    assert len(shop.jobs()) == 1


def test_one_schedule_that_cannot_be_run_stops_no_other():
    shop = Shop()
    text = SHOP + '  other: {{type: scheduler, task: other, cron: "*/5 * * * *"}}\n'
    shop.publish(text=text)
    create = shop.engine.jobs.create

    def failing(job):
        if job.task == "ship":
            raise UnavailableError("the table did not answer")
        return create(job)

    shop.engine.jobs.create = failing
    fired = shop.fire()
    assert (fired.made, fired.failed) == (1, 1)
    assert shop.record().next_at == NOON
    shop.engine.jobs.create = create
    assert shop.fire().made == 1
