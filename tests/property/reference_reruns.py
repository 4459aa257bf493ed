"""What a job that runs another again takes over from it. Source: HTTP API, "Rerun"."""

from tests.property.reference_rounds import SATISFIED, flow_name, instances


class Reruns:
    """What is kept of an ended job: whole results, and what goes on half-way."""

    def rerun(self, key, old, start):
        given = {"by_hook": old["by_hook"], "takeover": self._takeover(old, start)}
        self.create(key, old["task"], "rerun", **given)

    def has_nothing_to_rerun(self, old):
        kept = self._takeover(old, "failed")["keep"]
        return old["status"] == "completed" and kept == {*old["flow"]}

    def _takeover(self, old, start):
        """Return what is kept of an ended job: whole results, and what goes on half-way."""
        if start == "start":
            return None
        flow, steps = old["flow"], old["steps"]
        again = {n for n in flow if steps[n]["status"] not in SATISFIED}
        whole = {start} if start != "failed" else set()
        if start == "failed":
            again |= {n for n in flow if any(o["status"] == "failed" for o in instances(old, n))}
        again |= whole
        behind = set()
        for _ in flow:
            behind |= {n for n in flow if set(flow[n].get("depends_on", [])) & (again | behind)}
        keep = {n for n in flow if n not in again | behind}
        return {"old": old, "keep": keep, "resume": again - behind - whole}

    def _take_over(self, job):
        takeover = job["takeover"]
        for name in takeover["keep"] if takeover else ():
            old = takeover["old"]["steps"][name]
            job["steps"][name] |= {key: old[key] for key in ("status", "output", "attempt")}
        for name in takeover["resume"] if takeover else ():
            old = takeover["old"]["steps"][name]
            if old["total"] is not None:
                job["steps"][name] |= {"status": "running", "begun": True}
                self._new_loop(job, name, old["total"])
                for new, one in zip(
                    instances(job, name), instances(takeover["old"], name), strict=True
                ):
                    # What never began, because another failed before it, does now.
                    if one["status"] in SATISFIED and one["begun"]:
                        new |= {key: one[key] for key in ("status", "output", "attempt", "begun")}

    def _of_child(self, job, name, attempt):
        takeover = job["takeover"]
        if attempt != 1 or not takeover or flow_name(name) not in takeover["resume"]:
            return None
        old = takeover["old"]["steps"].get(name)
        return self._takeover(self.jobs[old["child"]], "failed") if old and old["child"] else None
