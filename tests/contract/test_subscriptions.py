"""What every store of connections keeps: who watches what."""

import pytest

from chalicelib.domain.errors import ConflictError
from chalicelib.domain.live import MAX_SUBSCRIPTIONS, Mode, Topic
from tests.fakes.live import FIRST, JOB, JOBS, KEY, SECOND, a_connection, a_watcher, numbered, seen


def test_all_topics_of_a_job_are_found_in_one_channel_and_no_others(connections):
    others = [Topic(job_id="j10"), Topic(job_id="j10", step="build", attempt=1), JOBS]
    connections.open(a_connection())
    connections.open(a_connection("c2=", KEY, Mode.LINES))
    for topic in (JOB, FIRST, SECOND, *others):
        connections.subscribe("c1=", topic)
    connections.subscribe("c2=", JOB)
    assert {(one.connection_id, one.topic) for one in connections.watchers("job/j1")} == {
        ("c1=", JOB),
        ("c1=", FIRST),
        ("c1=", SECOND),
        ("c2=", JOB),
    }
    assert a_watcher(JOB, "c2=", KEY, Mode.LINES) in connections.watchers("job/j1")
    assert seen(connections, "workspace/demo") == [a_watcher(JOBS)]
    assert seen(connections, "workspace/dem") == []
    assert connections.connection("c1=").topics == {JOB, FIRST, SECOND, *others}


@pytest.mark.parametrize(
    "topic",
    [
        JOB,
        JOBS,
        FIRST,
        SECOND,
        Topic(job_id="j1", step="größe ✓", attempt=12),
        Topic(job_id="j1", step="a]/1#b/c", attempt=3),
        Topic(workspace="demo-2_x.y"),
    ],
)
def test_a_topic_comes_back_as_it_was(connections, topic):
    connections.open(a_connection())
    assert connections.subscribe("c1=", topic).topics == {topic}
    assert connections.connection("c1=").topics == {topic}
    assert [one.topic for one in connections.watchers(topic.channel)] == [topic]
    assert Topic.of_key(topic.key) == topic


def test_a_subscription_that_is_repeated_is_one(connections):
    connections.open(a_connection())
    for _ in range(3):
        assert connections.subscribe("c1=", JOB).topics == {JOB}
    assert seen(connections, JOB.channel) == [a_watcher(JOB)]


def test_what_is_watched_no_more_is_gone_and_a_repeat_takes_nothing_else(connections):
    connections.open(a_connection())
    connections.unsubscribe("c1=", JOB)
    connections.subscribe("c1=", JOB)
    connections.subscribe("c1=", FIRST)
    for _ in range(2):
        connections.unsubscribe("c1=", JOB)
        assert seen(connections, JOB.channel) == [a_watcher(FIRST)]
        assert connections.connection("c1=").topics == {FIRST}
    connections.unsubscribe("c1=", FIRST)
    connections.unsubscribe("nope", FIRST)
    assert connections.connection("c1=").topics == frozenset()
    assert connections.subscribe("c1=", JOB).topics == {JOB}


def test_a_connection_watches_so_many_topics_and_no_more(connections):
    connections.open(a_connection())
    *kept, last = numbered(MAX_SUBSCRIPTIONS)
    for topic in (*kept, last):
        found = connections.subscribe("c1=", topic)
    assert len(found.topics) == MAX_SUBSCRIPTIONS
    with pytest.raises(ConflictError):
        connections.subscribe("c1=", JOBS)
    assert seen(connections, JOBS.channel) == []
    assert connections.subscribe("c1=", last).topics == {*kept, last}
    connections.unsubscribe("c1=", last)
    assert connections.subscribe("c1=", JOBS).topics == {*kept, JOBS}
    assert connections.close("c1=") == {*kept, JOBS}
    assert seen(connections, "job/j1") == []


def test_who_is_behind_is_so_until_told(connections):
    connections.open(a_connection(topics=[JOB, FIRST]))
    for is_behind in (True, True, False, False):
        connections.mark_behind("c1=", JOB, is_behind=is_behind)
        wanted = [a_watcher(JOB, is_behind=is_behind), a_watcher(FIRST)]
        assert seen(connections, JOB.channel) == wanted


def test_of_a_subscription_that_is_gone_nothing_is_kept(connections):
    connections.open(a_connection())
    connections.mark_behind("c1=", JOB, is_behind=True)
    connections.mark_behind("nope", JOB, is_behind=True)
    assert seen(connections, JOB.channel) == []
    connections.subscribe("c1=", JOB)
    assert seen(connections, JOB.channel) == [a_watcher(JOB)]
    connections.mark_behind("c1=", JOB, is_behind=True)
    connections.unsubscribe("c1=", JOB)
    connections.subscribe("c1=", JOB)
    assert seen(connections, JOB.channel) == [a_watcher(JOB)]
