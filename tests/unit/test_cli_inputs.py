"""Inputs as people type them become the values that the task declares."""

import io
import json
import sys

import pytest

from chalicelib.cli.exits import CommandError, Exit
from chalicelib.cli.inputs import Field, read_input

FIELDS = {
    "name": Field("string"),
    "count": Field("integer"),
    "ratio": Field("number"),
    "loud": Field("boolean"),
    "day": Field("date"),
    "hosts": Field("string", multiple=True),
    "into": Field("postgres"),
}


@pytest.mark.parametrize(
    ("pair", "value"),
    [
        ("name=Åse", "Åse"),
        ("name=", ""),
        ("name=7", "7"),
        ("name=a=b", "a=b"),
        ("name=@@home", "@home"),
        ("count=7", 7),
        ("ratio=0.5", 0.5),
        ("ratio=2", 2),
        ("loud=true", True),
        ("day=2026-11-21", "2026-11-21"),
        ("hosts=a,b", ["a", "b"]),
        ("into=main", "main"),
        ('into={"host": "db"}', {"host": "db"}),
    ],
)
def test_a_pair_is_read_by_the_type_of_its_field(pair, value):
    assert read_input([pair], None, FIELDS) == {pair.partition("=")[0]: value}


@pytest.mark.parametrize(
    ("pair", "said"),
    [
        ("name", "must have the form key=value"),
        ("=x", "must have the form key=value"),
        ("count=many", "'count' must be a whole number such as 3, not 'many'"),
        ('count="7"', "must be a whole number"),
        ("ratio=", "must be a number"),
        ("loud=yes", "must be true or false, not 'yes'"),
        ("nmae=x", "did you mean 'name'?"),
        ("zzz=x", "it has: name, count"),
        ("into={host", "is no JSON"),
        ("name=@/nowhere/at/all", "cannot read /nowhere/at/all: No such file"),
    ],
)
def test_a_pair_that_cannot_be_meant_is_refused_with_what_to_write(pair, said):
    with pytest.raises(CommandError) as refused:
        read_input([pair], None, FIELDS)
    assert said in refused.value.message
    assert refused.value.code is Exit.USAGE


def test_a_task_without_inputs_says_so():
    with pytest.raises(CommandError, match="it has none"):
        read_input(["a=1"], None, {})


def test_a_file_gives_its_text_whole(tmp_path):
    (tmp_path / "poem.txt").write_text("två\nrader\n", encoding="utf-8")
    assert read_input([f"name=@{tmp_path}/poem.txt"], None, FIELDS) == {"name": "två\nrader\n"}


def test_a_file_that_is_no_text_is_refused(tmp_path):
    (tmp_path / "image").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(CommandError, match="is not UTF-8 text"):
        read_input([f"name=@{tmp_path}/image"], None, FIELDS)


def test_the_whole_input_comes_as_json_from_a_file_or_from_standard_input(tmp_path, monkeypatch):
    whole = {"name": "Åse", "count": 2}
    (tmp_path / "in.json").write_text(json.dumps(whole), encoding="utf-8")
    monkeypatch.setattr(sys, "stdin", io.StringIO(json.dumps(whole)))
    assert read_input([], json.dumps(whole), FIELDS) == whole
    assert read_input([], f"@{tmp_path}/in.json", FIELDS) == whole
    assert read_input([], "-", FIELDS) == whole


def test_a_pair_wins_over_the_whole_input():
    assert read_input(["count=3"], '{"count": 2, "name": "x"}', FIELDS) == {
        "count": 3,
        "name": "x",
    }


@pytest.mark.parametrize(("whole", "said"), [("{bad", "line 1 column 2"), ("[1]", "JSON object")])
def test_a_whole_input_that_is_no_object_is_refused(whole, said):
    with pytest.raises(CommandError, match=said):
        read_input([], whole, FIELDS)


def test_a_name_in_the_whole_input_that_no_field_has_passes_with_a_warning(capsys):
    assert read_input([], '{"nmae": 1}', FIELDS) == {"nmae": 1}
    assert "did you mean 'name'?" in capsys.readouterr().err
