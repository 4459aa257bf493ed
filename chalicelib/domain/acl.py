"""The access list as people write it: from YAML or JSON and back, each fault with its place.

Source: configuration, section 7.1, `acl`.
"""

from __future__ import annotations

import json
from hashlib import sha256

from chalicelib.domain.errors import InvalidError, Violation
from chalicelib.domain.permissions import ALL_TASKS, Access, Acl, AclRule
from chalicelib.domain.values import JsonObject, JsonValue

MOST_RULES = 1000
MOST_NAMES = 500
LONGEST_TEXT = 256
_ACTIONS = {access.word: access for access in Access}
_MEMBERS = ("default", "rules")
_OF_RULE = ("workspace", "tasks", "action", "groups", "users")


def parse_acl(given: JsonValue) -> Acl:
    """Return the list that the document spells out.

    Raises:
        InvalidError: a violation for each thing that is wrong.
    """
    reading = _Reading()
    acl = reading.acl(given)
    if reading.wrong:
        listed = "; ".join(f"{one.pointer or '/'}: {one.message}" for one in reading.wrong[:5])
        raise InvalidError(f"the access list is not valid: {listed}", tuple(reading.wrong))
    return acl


def dump_acl(acl: Acl) -> JsonObject:
    """Return the document that `parse_acl` reads back as the same list."""
    return {"default": acl.default.word, "rules": [_dump_rule(rule) for rule in acl.rules]}


def digest_of(acl: Acl) -> str:
    """Return what tells the list from another: the version that a change must name."""
    text = json.dumps(dump_acl(acl), ensure_ascii=False, separators=(",", ":"))
    return sha256(text.encode()).hexdigest()[:32]


def _dump_rule(rule: AclRule) -> JsonValue:
    return {
        "workspace": rule.workspace,
        "tasks": list(rule.tasks),
        "action": rule.action.word,
        "groups": list(rule.groups),
        "users": list(rule.users),
    }


class _Reading:
    """One look at a document, and all that was wrong with it."""

    def __init__(self) -> None:
        self.wrong: list[Violation] = []

    def acl(self, given: JsonValue) -> Acl:
        found = self._mapping(given, "", _MEMBERS)
        default = self._action(found.get("default", "deny"), "/default")
        rules = self._list(found.get("rules", []), "/rules", MOST_RULES)
        read = (self._rule(rule, f"/rules/{number}") for number, rule in enumerate(rules))
        return Acl(default, tuple(read))

    def _rule(self, given: JsonValue, at: str) -> AclRule:
        found = self._mapping(given, at, _OF_RULE)
        for name in ("workspace", "action"):
            if found and name not in found:
                self._refuse(f"{at}/{name}", "is missing")
        groups = self._texts(found.get("groups", []), f"{at}/groups")
        users = self._texts(found.get("users", []), f"{at}/users")
        if not groups and not users and found:
            self._refuse(at, 'names nobody: give groups or users; "*" among them is everybody')
        tasks = self._texts(found.get("tasks", [ALL_TASKS]), f"{at}/tasks")
        if not tasks and isinstance(found.get("tasks"), list):
            self._refuse(f"{at}/tasks", 'is empty: leave it out, or write ["*"], for all tasks')
        return AclRule(
            workspace=self._text(found.get("workspace", "*"), f"{at}/workspace"),
            tasks=tasks,
            action=self._action(found.get("action", "deny"), f"{at}/action"),
            groups=groups,
            users=users,
        )

    def _action(self, given: JsonValue, at: str) -> Access:
        found = _ACTIONS.get(given) if isinstance(given, str) else None
        if found is None:
            self._refuse(at, "must be run, view or deny")
        return found or Access.DENY

    def _mapping(self, given: JsonValue, at: str, known: tuple[str, ...]) -> JsonObject:
        if not isinstance(given, dict):
            self._refuse(at, "must be a mapping")
            return {}
        for name in given:
            if name not in known:
                self._refuse(f"{at}/{name[:80]}", f"is unknown: there are {', '.join(known)}")
        return given

    def _list(self, given: JsonValue, at: str, most: int) -> list[JsonValue]:
        if not isinstance(given, list):
            self._refuse(at, "must be a list")
            return []
        if len(given) > most:
            self._refuse(at, f"has {len(given)} entries, the limit is {most}")
        return given[:most]

    def _texts(self, given: JsonValue, at: str) -> tuple[str, ...]:
        found = self._list(given, at, MOST_NAMES)
        return tuple(self._text(one, f"{at}/{number}") for number, one in enumerate(found))

    def _text(self, given: JsonValue, at: str) -> str:
        if not isinstance(given, str) or not 0 < len(given) <= LONGEST_TEXT:
            self._refuse(at, f"must be a text of 1 to {LONGEST_TEXT} characters")
            return ""
        return given

    def _refuse(self, at: str, message: str) -> None:
        self.wrong.append(Violation(at, message))
