"""The language as algebra:

valid workspaces load, dump is exact, a planted fault is found where it is.
"""

import json
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from chalicelib.domain.dump import dump, load_definition
from chalicelib.domain.durations import format_duration, parse_duration
from chalicelib.domain.graph import ancestors, cycles, layers, order, sinks
from chalicelib.domain.parse.yaml_source import read_yaml
from chalicelib.domain.reading import read_workspace
from chalicelib.domain.sources import SourceFile, WorkspaceTree
from chalicelib.domain.workflow import FlowStep
from chalicelib.workspaces.revision import content_hash
from chalicelib.workspaces.tarball import pack, unpack
from tests.strategies import VALUES, faulty_workspaces, tree_of, workspaces


@settings(max_examples=100)
@given(workspaces())
def test_a_valid_workspace_loads_and_its_dump_loads_back_equal(raw):
    loaded = read_workspace(tree_of(raw))
    assert loaded.errors == ()
    stored = json.loads(json.dumps(dump(loaded.definition)))
    again = load_definition(stored)
    assert again == loaded.definition
    assert repr(again) == repr(loaded.definition)
    assert json.loads(json.dumps(dump(again))) == stored


@settings(max_examples=100)
@given(faulty_workspaces())
def test_one_planted_fault_is_the_only_error_and_is_found_where_it_is(fault):
    loaded = read_workspace(tree_of(fault.raw))
    assert {error.path for error in loaded.errors} == {fault.path}
    assert loaded.definition is None


@settings(max_examples=100)
@given(VALUES)
def test_json_read_as_yaml_is_the_same_value(value):
    document, findings = read_yaml("w.yaml", json.dumps(value, ensure_ascii=False))
    assert findings == []
    assert document.value == value


@settings(max_examples=200)
@given(st.text("ab:{}[]&*!|>'\"%@`#-? \n\t,0.~", max_size=60))
def test_any_text_is_read_or_refused_and_never_breaks(text):
    loaded = read_workspace(WorkspaceTree({"w.yaml": SourceFile(text.encode())}))
    assert loaded.ok == (not loaded.errors)


@settings(max_examples=200)
@given(st.recursive(VALUES, lambda inner: st.dictionaries(
    st.sampled_from(["actions", "tasks", "flow", "a", "type", "input", "on_error", "triggers",
                     "depends_on", "script", "connections", "secrets", "retry", "for_each"]),
    inner, max_size=4), max_leaves=12))  # fmt: skip
def test_any_shape_of_values_is_read_or_refused_and_never_breaks(raw):
    loaded = read_workspace(tree_of(raw))
    assert loaded.ok == (not loaded.errors)


@given(st.integers(1, 10**8))
def test_a_duration_is_spelled_so_that_it_reads_back(seconds):
    assert parse_duration(format_duration(seconds)) == seconds


GRAPHS = st.dictionaries(
    st.sampled_from("abcdefgh"), st.lists(st.sampled_from("abcdefgh"), max_size=3), max_size=8
).map(
    lambda raw: {
        name: FlowStep(key=name, action="x", depends_on=tuple(deps)) for name, deps in raw.items()
    }
)


@given(GRAPHS)
def test_a_flow_is_ordered_whole_exactly_if_it_has_no_cycle(flow):
    found = order(flow)
    place = {name: index for index, name in enumerate(found)}
    for name in found:
        assert all(place[dep] < place[name] for dep in flow[name].depends_on if dep in flow)
    assert (len(found) == len(flow)) == (cycles(flow) == ())
    assert sorted(name for layer in layers(flow) for name in layer) == sorted(found)
    for path in cycles(flow):
        assert path[0] == path[-1]
        assert all(b in flow[a].depends_on for a, b in pairwise(path))


@given(GRAPHS)
def test_a_step_is_its_own_ancestor_exactly_on_a_cycle_and_sinks_are_nobodys(flow):
    everybody = {above for name in flow for above in ancestors(flow, name)}
    assert all(name not in everybody for name in sinks(flow))
    assert any(name in ancestors(flow, name) for name in flow) == (cycles(flow) != ())


TREES = st.dictionaries(
    st.from_regex(r"[a-z]{1,3}(/[a-z.]{2,4}x){0,2}", fullmatch=True),
    st.builds(SourceFile, st.binary(max_size=2_000), st.booleans()),
    max_size=5,
).filter(
    lambda files: not any(one.startswith(f"{other}/") for one in files for other in files)
).map(WorkspaceTree)  # fmt: skip


@settings(max_examples=100)
@given(TREES)
def test_what_is_packed_comes_back_with_the_same_revision(tree):
    again = unpack(pack(tree))
    assert again == tree
    assert content_hash(again) == content_hash(tree)
