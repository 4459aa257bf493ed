"""Records of streams that are odd: each is left out, and the others are read."""

import copy

import pytest

from chalicelib.engine.live.changes import ConnectionOpened, LinesAdded
from chalicelib.store.changes import read_changes

# As DynamoDB writes them, and Lambda hands them on.
OPENED = {
    "eventID": "1",
    "eventName": "INSERT",
    "eventSource": "aws:dynamodb",
    "dynamodb": {
        "Keys": {"pk": {"S": "CONN#c1="}, "sk": {"S": "A"}},
        "NewImage": {"mode": {"S": "lines"}, "v": {"N": "1"}},
        "StreamViewType": "NEW_IMAGE",
    },
}
CHUNK = {
    "eventID": "2",
    "eventName": "INSERT",
    "eventSource": "aws:dynamodb",
    "dynamodb": {
        "Keys": {"pk": {"S": "LOG#j1"}, "sk": {"S": "build]#001#0000000001"}},
        "NewImage": {
            "pk": {"S": "LOG#j1"},
            "sk": {"S": "build]#001#0000000001"},
            "step": {"S": "build"},
            "attempt": {"N": "1"},
            "first": {"N": "1"},
            "last": {"N": "2"},
            "live": {"BOOL": True},
            "packed": {"B": "eJyrSNSpSAIABbcB4A=="},
            "expires": {"N": "1795262400"},
        },
    },
}
JOB = {
    "eventID": "3",
    "eventName": "MODIFY",
    "dynamodb": {
        "Keys": {"pk": {"S": "JOB#j1"}, "sk": {"S": "META"}},
        "NewImage": {"pk": {"S": "JOB#j1"}, "sk": {"S": "META"}, "status": {"S": "exploded"}},
    },
}


def with_image(record, **values):
    changed = copy.deepcopy(record)
    changed["dynamodb"]["NewImage"] |= values
    return changed


def test_records_are_read_in_their_order():
    first, second = read_changes({"Records": [CHUNK, OPENED]})
    assert isinstance(first, LinesAdded)
    assert (first.chunk.job_id, first.chunk.step, first.chunk.text) == ("j1", "build", "xa,xb")
    assert second == ConnectionOpened("c1=")


@pytest.mark.parametrize(
    "odd",
    [
        None,
        [],
        "text",
        {},
        {"eventName": "INSERT"},
        {"eventName": "INSERT", "dynamodb": {}},
        {"eventName": "INSERT", "dynamodb": {"Keys": {"pk": {"N": "1"}, "sk": {"S": "A"}}}},
        JOB,
        with_image(CHUNK, packed={"B": "no base64!"}),
        with_image(CHUNK, packed={"B": "bm8gemxpYg=="}),
        with_image(CHUNK, first={"S": "one"}),
        with_image(CHUNK, ref={"S": "[]"}),
    ],
)
def test_one_that_cannot_be_read_is_left_out_and_told(caplog, odd):
    assert read_changes({"Records": [odd, OPENED]}) == [ConnectionOpened("c1=")]
    assert [line.message for line in caplog.records] == ["a record that cannot be read"]
    assert "xploded" not in caplog.text


@pytest.mark.parametrize(
    "silent",
    [
        OPENED | {"eventName": "REMOVE"},
        CHUNK | {"eventName": "REMOVE"},
        CHUNK | {"eventName": "MODIFY"},
        with_image(OPENED, mode={"S": "messages"}),
        with_image(CHUNK, live={"BOOL": False}),
        {
            "eventName": "INSERT",
            "dynamodb": {"Keys": {"pk": {"S": "WATCH#job/j1"}, "sk": {"S": "c1=#job/j1"}}},
        },
    ],
)
def test_what_is_removed_or_of_another_kind_tells_nothing(caplog, silent):
    assert read_changes({"Records": [silent]}) == []
    assert not caplog.records


@pytest.mark.parametrize("event", [{}, {"Records": None}, {"Records": "no"}])
def test_an_event_without_records_tells_nothing(event):
    assert read_changes(event) == []
