"""What follows by itself: the rules of the language, round by round until nothing changes.

Jobs and steps are dictionaries, statuses are words; `reference_model` says what happens to them.
Source: state machines, sections 3.2 to 3.8; workflow language, sections 1.6 to 1.9.
"""

from tests.property.reference_templates import FAULT, asks_each, items_of, when_says

SATISFIED = ("completed", "skipped")
BROKEN = ("failed", "cancelled")
ENDED = (*SATISFIED, *BROKEN)
TOP_LEVEL = ("api", "retry")
EVENTS = {"completed": "on_success", "failed": "on_error", "cancelled": "on_cancel"}


def is_over(job):
    return job["status"] in ENDED


def instances(job, name):
    total = job["steps"][name]["total"] or 0
    return [job["steps"][f"{name}[{index}]"] for index in range(total)]


def flow_name(name):
    return name.partition("[")[0]


def instance_of(name):
    return int(name.partition("[")[2][:-1]) if "[" in name else None


def stops(rule):
    """Say whether a failure keeps the rest of the loop from beginning."""
    return rule.get("sequential") and not rule.get("continue_on_failure")


def delay_of(retry, attempt):
    """Return the seconds between an attempt that failed and the next."""
    doublings = attempt - 1 if retry.get("backoff") == "exponential" else 0
    return retry["delay"] * 2**doublings


class Rounds:
    """Jobs by their keys, and what becomes of them when nobody does anything."""

    def settle(self):
        while sum(self._round(job) for job in list(self.jobs.values())):
            pass

    def _round(self, job):
        before = repr(job)
        for name in list(job["flow"]):
            if not is_over(job):
                self._promote(job, name)
                self._let_instances_go(job, name)
        for name in list(job["steps"]):
            if not is_over(job) and self._is_due(job, name):
                self._begin(job, name)
        for name in job["flow"]:
            self._end_loop(job, name)
        words = [job["steps"][name]["status"] for name in job["flow"]]
        if not is_over(job) and all(word in ENDED for word in words):
            self._end_job(job)
        if is_over(job) and not job["told"] and all(word in ENDED for word in words):
            job["told"] = True
            self._follow(job)
        return repr(job) != before

    def _promote(self, job, name):
        step, rule = job["steps"][name], job["flow"][name]
        if step["status"] != "pending":
            return
        needs = [job["steps"][need]["status"] for need in rule.get("depends_on", [])]
        accepts = ENDED if rule.get("continue_on_failure") else SATISFIED
        if not all(need in accepts for need in needs):
            if any(need in BROKEN for need in needs) and accepts is SATISFIED:
                step["status"] = "skipped"
        elif needs and accepts is SATISFIED and all(need == "skipped" for need in needs):
            step["status"] = "skipped"
        else:
            # What templates decide is pending until they have.
            is_late = rule.get("when") is not None or rule.get("for_each") is not None
            step["status"] = "due" if is_late else "ready"

    def _is_due(self, job, name):
        """Say whether the engine has to begin the step or instance now."""
        step = job["steps"][name]
        is_turn = step["status"] in ("due", "ready") and not step["begun"]
        may_be = not (job["paused"] or is_over(job) or self._is_expired(job))
        may_be = may_be and job["start"] <= self.now
        return is_turn and may_be and self._is_engines(job, name) and step["retry_at"] <= self.now

    def _begin(self, job, name):
        step, rule = job["steps"][name], self._rule(job, name)
        word = self._asked(job, name) if step["attempt"] == 1 else None
        if word is None and rule.get("for_each") is not None and "[" not in name:
            word = self._expand(job, name)
        if word is None and self._is_task(job, name):
            word, key = "running", ("task", job["key"], name, step["attempt"])
            step["child"] = key
            task = self.raw["actions"][rule["action"]]["task"]
            given = {"parent": (job["key"], name), "by_hook": job["by_hook"]}
            given["takeover"] = self._of_child(job, name, step["attempt"])
            self.create(key, task, "task", **given)
        if word is None and self._is_gate(job, name):
            word = "suspended"
            self._fire(job, "on_suspended", name)
        step |= {"status": word or "ready", "begun": True, "since": self.now}
        if step["status"] not in ENDED:
            job["status"] = "running"

    def _asked(self, job, name):
        rule, index = self._rule(job, name), instance_of(name)
        if rule.get("when") is None or asks_each(rule) != (index is not None):
            return None
        item = None if index is None else self._items(job, name)[index]
        said = when_says(rule["when"], self._outputs(job), item)
        return "failed" if said is FAULT else None if said else "skipped"

    def _expand(self, job, name):
        items = self._items(job, name)
        if items is FAULT or not items:
            return "failed" if items is FAULT else "skipped"
        self._new_loop(job, name, len(items))
        return "running"

    def _let_instances_go(self, job, name):
        step, rule = job["steps"][name], job["flow"][name]
        if step["status"] != "running" or step["total"] is None:
            return
        found = instances(job, name)
        left = [one for one in found if one["status"] not in ENDED]
        is_stopped = any(one["status"] == "failed" for one in found) and stops(rule)
        most = 1 if rule.get("sequential") else rule.get("max_parallel", step["total"])
        for one in left[: 0 if is_stopped else most]:
            if one["status"] == "pending":
                one["status"] = "ready"

    def _end_loop(self, job, name):
        step, rule, found = job["steps"][name], job["flow"][name], instances(job, name)
        if step["status"] != "running" or step["total"] is None:
            return
        is_failed = any(one["status"] == "failed" for one in found)
        left = [one for one in found if one["status"] not in ENDED]
        is_stopped = is_failed and stops(rule) and all(one["status"] == "pending" for one in left)
        if left and not is_stopped:
            return
        for one in left:
            one["status"] = "skipped"
        if job["status"] == "cancelled":
            self.end(job, name, "cancelled")
        elif is_failed and not rule.get("continue_on_failure"):
            self.end(job, name, "failed")
        else:
            outputs = [o["output"] if o["status"] == "completed" else None for o in found]
            self.end(job, name, "completed", outputs)

    def _end_job(self, job):
        failed = [n for n in job["flow"] if job["steps"][n]["status"] == "failed"]
        tolerated = all(job["flow"][name].get("continue_on_failure") for name in failed)
        job["status"] = "completed" if tolerated else "failed"
        needed = {need for rule in job["flow"].values() for need in rule.get("depends_on", [])}
        outputs = {n: job["steps"][n]["output"] for n in job["flow"] if n not in needed}
        found = {name: output for name, output in outputs.items() if output is not None}
        job["output"] = found if tolerated and found else None

    def _follow(self, job):
        """Do what the end of a job leads to: another try, its parent's step, its hooks."""
        retry = job["rules"].get("retry")
        is_tried = job["status"] == "failed" and not job["parent"] and not job["by_hook"]
        if is_tried and retry and job["tries"] < retry["max_attempts"]:
            given = {"start": self.now + delay_of(retry, job["tries"]), "tries": job["tries"] + 1}
            given["takeover"] = job["takeover"]
            self.create(("retry", job["key"]), job["task"], "retry", **given)
            return
        self._fire(job, EVENTS[job["status"]])
        if job["parent"]:
            parent, name = self.jobs[job["parent"][0]], job["parent"][1]
            step = parent["steps"][name]
            if step["child"] == job["key"] and step["status"] == "running":
                if job["status"] == "failed":
                    self.fail(parent, name)
                else:
                    self.end(parent, name, job["status"], job["output"])

    def _fire(self, job, event, name=""):
        hooks = job["rules"].get(event)
        if hooks is None and job["source"] in TOP_LEVEL:
            hooks = self.raw.get(event)
        for index, hook in enumerate([] if job["by_hook"] else hooks or []):
            action = self.raw["actions"][hook["action"]]
            key = ("hook", job["key"], event, index, name)
            self.create(key, action.get("task", hook["action"]), "hook", by_hook=True)

    # what the words mean

    def shown(self, job):
        words = {"due": "pending"}
        steps = job["steps"].items()
        return {n: (words.get(s["status"], s["status"]), s["attempt"]) for n, s in steps}

    def is_in_time(self, job):
        return job["start"] <= self.now

    def _new_step(self):
        none = dict.fromkeys(("worker", "since", "output", "child", "total"))
        return {"status": "pending", "attempt": 1, "retry_at": 0, "begun": False} | none

    def _new_loop(self, job, name, total):
        job["steps"][name]["total"] = total
        job["steps"] |= {f"{name}[{index}]": self._new_step() for index in range(total)}

    def _rule(self, job, name):
        return job["flow"][flow_name(name)]

    def _type(self, job, name):
        return self.raw["actions"][self._rule(job, name)["action"]]["type"]

    def _is_task(self, job, name):
        return self._type(job, name) == "task"

    def _is_gate(self, job, name):
        return self._type(job, name) == "approval"

    def _is_engines(self, job, name):
        """Say whether the engine has to do something before, or instead of, a worker."""
        rule = self._rule(job, name)
        if self._is_task(job, name) or self._is_gate(job, name):
            return True
        if instance_of(name) is not None:
            return asks_each(rule)
        return rule.get("when") is not None or rule.get("for_each") is not None

    def has_broken_input(self, job, name):
        return any("nosuch" in str(v) for v in self._rule(job, name).get("input", {}).values())

    def _outputs(self, job):
        steps = job["steps"]
        return {n: steps[n]["output"] for n in steps if steps[n]["status"] == "completed"}

    def _items(self, job, name):
        return items_of(self._rule(job, name)["for_each"], self._outputs(job))
