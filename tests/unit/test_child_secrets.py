"""Sub-jobs: what is handed on as a secret, and stands in no table."""

from __future__ import annotations

import pytest

from chalicelib.domain.job import SECRET_MASK
from tests.fakes.children import CLEAN, begun, child_of, clean, given_to
from tests.fakes.flows import a_house


@pytest.mark.parametrize(
    "given",
    [
        'key: "{{ secret.API }}"',
        'key: "Bearer {{ secret.API }}"',
        'key: "{{ secret.PIN }}"',
        'key: "{{ secret.API | upper }}"',
        'key: "{{ input.password | upper }}"',
        'key: "{{ input.password | length }}"',
        'key: "{{ test.output.said }}"',
        'key: "{{ input.password }}"',
        'key: "{{ input.pin }}"',
    ],
)
def test_what_comes_from_a_secret_stands_in_no_table(given):
    text = "secrets: { API: wxyz-1234, PIN: '77' }\n" + CLEAN.replace(
        "  ship:\n",
        "  ship:\n    input: { password: { secret: true }, pin: { secret: true } }\n",
    )
    text = text.replace("KEYS", "").replace("INPUT", given).replace("FIELDS", "")
    house = a_house(text)
    job_id = house.job(input={"password": "hunter2", "pin": "5"})
    house.end(house.take(), output={"said": "the key is wxyz-1234"})
    child = child_of(house, job_id)
    shown, apart = given_to(house, child)
    assert shown == {"key": SECRET_MASK}
    assert any(word in apart.lower() for word in ("wxyz-1234", "hunter2", '"77"', '"5"', '"7"'))
    assert house.take().rendered.input["key"] != SECRET_MASK


def test_a_connections_values_stand_in_no_table():
    text = """
connection_types: { pg: { host: { type: string }, password: { type: string, secret: true } } }
connections: { main: { type: pg, host: db.local, password: literal-word } }
actions:
  query: { type: task, task: ask }
  tidy: { type: script, script: "true" }
tasks:
  ship:
    input: { db: { type: pg, default: main } }
    flow:
      q: { action: query, input: { db: "{{ input.db }}", note: "{{ input.db.password }}" } }
  ask:
    input: { db: { type: pg } }
    flow: { s: { action: tidy, input: { host: "{{ input.db.host }}" } } }
"""
    house = a_house(text)
    job_id = house.job()
    shown, apart = given_to(house, child_of(house, job_id, "q"))
    assert shown == {"db": SECRET_MASK, "note": SECRET_MASK}
    assert "literal-word" in apart
    assert house.take().rendered.input["host"] == "db.local"


def test_a_connection_is_kept_apart_whatever_its_fields_say():
    text = """
connection_types: { box: { host: { type: string } } }
connections: { main: { type: box, host: db.local } }
actions: { query: { type: task, task: ask }, tidy: { type: script, script: "true" } }
tasks:
  ship:
    input: { db: { type: box, secret: true } }
    flow: { q: { action: query, input: { db: "{{ input.db }}" } } }
  ask: { input: { db: { type: box } }, flow: { s: { action: tidy } } }
"""
    house = a_house(text)
    job_id = house.job(input={"db": "main"})
    shown, apart = given_to(house, child_of(house, job_id, "q"))
    assert shown == {"db": SECRET_MASK}
    assert "db.local" in apart
    house = a_house(text.replace(", secret: true", ""))
    shown, _ = given_to(house, child_of(house, house.job(input={"db": "main"}), "q"))
    assert shown == {"db": SECRET_MASK}


def test_an_error_that_goes_up_hides_what_only_the_sub_job_knows():
    house = clean(given='word: "open-sesame"', fields="word: { secret: true }")
    job_id = begun(house)
    house.end(house.take(), error="bad word open-sesame")
    assert "open-sesame" not in house.record(job_id, "call").error
