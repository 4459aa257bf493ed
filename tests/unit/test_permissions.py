"""Who may do what: the rules themselves."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.domain.acl import dump_acl, parse_acl
from chalicelib.domain.callers import ANYBODY, Caller, CallerKind, Permission
from chalicelib.domain.permissions import (
    SYSTEM_WIDE,
    Access,
    Acl,
    AclRule,
    Verdict,
    access,
    holds,
    needed,
    verdict,
    whole,
    widest,
)
from chalicelib.domain.roles import BUILT_IN

ALL = frozenset(Permission)


def a_caller(**given):
    words = {"kind": CallerKind.USER, "name": "ann@example.com", "email": "ann@example.com"}
    return Caller(**words | {"permissions": ALL} | given)


def a_rule(action="run", **given):
    words = {"workspace": "*", "users": ("*",), "action": Access[action.upper()]}
    return AclRule(**words | given)


# rules


@pytest.mark.parametrize(
    ("pattern", "fits"),
    [
        ("*", True),
        ("shop", True),
        ("sh*", True),
        ("sh?p", True),
        ("[st]hop", True),
        ("Shop", False),
        ("sho", False),
        ("hop", False),
        ("", False),
    ],
)
def test_a_workspace_is_fitted_by_a_pattern(pattern, fits):
    assert a_rule(workspace=pattern).fits("shop") is fits


@pytest.mark.parametrize(
    ("pattern", "fits"),
    [
        ("*", True),
        ("ops/ship", True),
        ("ship", True),
        ("ops/*", True),
        ("*/ship", True),
        ("o*p", True),
        ("ops", False),
        ("ops/", False),
        ("/ship", False),
        ("ops/ships", False),
        ("Ops/ship", False),
    ],
)
def test_a_task_is_fitted_with_its_folder_or_by_its_key(pattern, fits):
    assert a_rule(tasks=(pattern,)).fits_task("ops", "ship") is fits


def test_a_task_without_a_folder_is_fitted_by_its_key():
    assert a_rule(tasks=("ship",)).fits_task(None, "ship")
    assert not a_rule(tasks=("ops/*",)).fits_task(None, "ship")


@pytest.mark.parametrize(
    ("rule", "speaks"),
    [
        ({"users": ("ann@example.com",)}, True),
        ({"users": ("Ann@Example.com",)}, True),
        ({"users": ("bob@example.com",)}, False),
        ({"users": ("ann",)}, False),
        ({"users": ("ann*",)}, False),
        ({"users": ("*",)}, True),
        ({"users": (), "groups": ("*",)}, True),
        ({"users": (), "groups": ("makers", "x")}, True),
        ({"users": (), "groups": ("Makers",)}, False),
        ({"users": (), "groups": ()}, False),
    ],
)
def test_a_rule_speaks_of_those_that_it_names(rule, speaks):
    assert a_rule(**rule).speaks_of(a_caller(groups=frozenset({"makers"}))) is speaks


def test_a_key_is_not_its_name_but_its_user():
    rule = a_rule(users=("root@example.com",))
    assert not rule.speaks_of(a_caller(kind=CallerKind.KEY, name="root@example.com", email=None))
    assert not rule.speaks_of(a_caller(kind=CallerKind.KEY, name="root@example.com"))
    assert rule.speaks_of(a_caller(kind=CallerKind.KEY, name="k", email="root@example.com"))


def test_the_highest_of_the_rules_that_fit_counts_in_any_order():
    rules = [a_rule("deny"), a_rule("run", tasks=("ops/*",)), a_rule("view")]
    for order in (rules, rules[::-1]):
        acl = Acl(Access.DENY, tuple(order))
        assert access(acl, a_caller(), "shop", "ops", "ship") is Access.RUN
        assert access(acl, a_caller(), "shop", None, "ship") is Access.VIEW


def test_what_no_rule_fits_has_the_default_and_a_deny_may_lower_it():
    acl = Acl(Access.RUN, (a_rule("deny", tasks=("ops/*",)),))
    assert access(acl, a_caller(), "shop", "ops", "ship") is Access.DENY
    assert access(acl, a_caller(), "shop", "web", "ship") is Access.RUN


def test_without_a_list_everybody_may_run_and_an_administrator_always():
    assert access(None, a_caller(), "shop", None, "ship") is Access.RUN
    shut = Acl(Access.DENY, (a_rule("deny"),))
    assert access(shut, a_caller(is_admin=True), "shop", None, "ship") is Access.RUN
    assert access(shut, ANYBODY, "shop", None, "ship") is Access.RUN


def test_a_key_is_held_to_its_workspaces_whoever_owns_it():
    for admin in (True, False):
        key = a_caller(kind=CallerKind.KEY, workspaces=frozenset({"shop"}), is_admin=admin)
        assert access(None, key, "shop", None, "ship") is Access.RUN
        assert access(None, key, "bank", None, "ship") is Access.DENY
        assert not any(holds(key, one) for one in SYSTEM_WIDE)


names = st.sampled_from(["shop", "bank", "a"])
folders = st.sampled_from([None, "ops", "web"])
tasks = st.sampled_from(["ship", "one", "ops/one"])
patterns = st.sampled_from(["*", "ops/*", "ship", "web/ship", "o*", "none"])
rules = st.builds(
    AclRule,
    workspace=st.sampled_from(["*", "shop", "b*"]),
    tasks=st.lists(patterns, min_size=1, max_size=2).map(tuple),
    action=st.sampled_from(Access),
    groups=st.sampled_from([(), ("makers",), ("*",)]),
    users=st.sampled_from([(), ("ann@example.com",), ("bob@example.com",)]),
)
acls = st.builds(Acl, st.sampled_from(Access), st.lists(rules, max_size=5).map(tuple))
callers = st.builds(
    a_caller,
    groups=st.sampled_from([frozenset(), frozenset({"makers"})]),
    is_admin=st.booleans(),
    workspaces=st.sampled_from([None, frozenset({"shop"})]),
)


@given(acls, callers, names, folders, tasks)
def test_what_is_said_of_a_workspace_holds_for_each_of_its_tasks(acl, who, ws, folder, task):
    found = access(acl, who, ws, folder, task)
    assert whole(acl, who, ws) <= found <= widest(acl, who, ws)


@given(acls, callers, names, folders, tasks)
def test_the_access_is_that_of_the_specification(acl, who, ws, folder, task):
    if who.workspaces is not None and ws not in who.workspaces:
        expected = Access.DENY
    elif who.is_admin:
        expected = Access.RUN
    else:
        mine = [r for r in acl.rules if r.fits(ws) and r.speaks_of(who)]
        fitting = {r.action for r in mine if r.fits_task(folder, task)}
        ordered = [a for a in (Access.RUN, Access.VIEW, Access.DENY) if a in fitting]
        expected = ordered[0] if ordered else acl.default
    assert access(acl, who, ws, folder, task) is expected


@given(acls)
def test_a_list_is_read_back_as_it_was_written(acl):
    named = tuple(rule for rule in acl.rules if rule.users or rule.groups)
    acl = Acl(acl.default, named)
    assert parse_acl(dump_acl(acl)) == acl


# the one check


@pytest.mark.parametrize("permission", Permission)
def test_the_check_needs_the_permission_first_and_then_the_access(permission):
    nobody, somebody = a_caller(permissions=frozenset()), a_caller()
    for found in Access:
        assert verdict(nobody, permission, found) is Verdict.FORBIDDEN
    assert verdict(somebody, permission, Access.DENY) is Verdict.HIDDEN
    assert verdict(somebody, permission, Access.RUN) is Verdict.ALLOWED
    is_enough = needed(permission) is Access.VIEW
    expected = Verdict.ALLOWED if is_enough else Verdict.FORBIDDEN
    assert verdict(somebody, permission, Access.VIEW) is expected


def test_who_may_start_a_task_may_stop_what_runs_of_it():
    user = a_caller(permissions=BUILT_IN["user"].permissions)
    assert Permission.EXECUTION_STOP not in user.permissions
    assert holds(user, Permission.EXECUTION_STOP)
    assert not holds(a_caller(permissions={Permission.JOB_READ}), Permission.EXECUTION_STOP)


def test_an_administrators_key_has_its_scopes_only():
    root = a_caller(is_admin=True, permissions=frozenset())
    assert holds(root, Permission.SYSTEM_CONFIG)
    scopes = frozenset({Permission.JOB_READ})
    key = a_caller(kind=CallerKind.KEY, is_admin=True, permissions=scopes)
    assert holds(key, Permission.JOB_READ)
    assert not holds(key, Permission.SYSTEM_CONFIG)


def test_a_worker_has_no_permission():
    worker = Caller(kind=CallerKind.WORKER, name="w")
    assert not any(holds(worker, one) for one in Permission)
