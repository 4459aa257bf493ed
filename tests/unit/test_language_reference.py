"""The reference page documents exactly the keys that the parser knows."""

import re
from pathlib import Path

import pytest

from chalicelib.domain.parse.keys import APPLIES, BY_KIND
from chalicelib.domain.workflow import ActionType

PAGE = (Path(__file__).parents[2] / "docs" / "reference" / "workflow-yaml.md").read_text()


def rows_of(kind):
    section = re.split(r"^#{2,3} ", PAGE.split(f"# {kind}\n", 1)[1], flags=re.MULTILINE)[0]
    return re.findall(r"^\| `(\w+)` \|([^\n]*)\|$", section, flags=re.MULTILINE)


@pytest.mark.parametrize("kind", BY_KIND)
def test_the_page_has_each_key_once(kind):
    assert sorted(key for key, _ in rows_of(kind)) == sorted(BY_KIND[kind])


def test_the_page_says_which_types_of_action_a_key_is_for():
    for key, cells in rows_of("Action"):
        types = cells.split("|")[1].strip()
        told = set(ActionType) if types == "all" else {ActionType(t) for t in types.split(", ")}
        known = {kind for kind, keys in APPLIES.items() if key in keys}
        # A script's `cmd` is the older generation's name of `script`, told in the text above.
        assert told == known - ({ActionType.SCRIPT} if key == "cmd" else set()), key
