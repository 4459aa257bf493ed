"""More wrong protocols: of loops, sub-jobs, hooks, limits, pauses, re-runs and the sweep."""

from __future__ import annotations

from dataclasses import replace

from chalicelib.domain.hooks import event_of
from chalicelib.domain.job import AfterAction, JobState, Parent
from chalicelib.domain.lifecycle import StepStatus
from chalicelib.domain.loops import group_of, instance_of
from chalicelib.engine import (
    begin,
    children,
    ending,
    hooks,
    loops,
    recovery,
    waiting,
    workers,
)
from chalicelib.engine.attempts import Hold
from chalicelib.engine.making import derived_id, make
from chalicelib.engine.moves import Line
from chalicelib.store.claims import begun, no_group
from chalicelib.store.memory_jobs import MemoryJobs
from tests.simulation.mutants import Mutant, use
from tests.simulation.watching import WatchedSlots
from tests.simulation.world import Build


class _GroupNotLeft(MemoryJobs):
    """An instance that has ended stays among the open ones."""

    def leave_group(self, ref, *, failed):
        super_group = self._loops.get(ref.job_id, {}).get(instance_of(ref.step).step, {})
        number = group_of(instance_of(ref.step).index)
        if number not in super_group:
            raise no_group(ref)
        return super_group[number]


class _CountedGroup(MemoryJobs):
    """A group counts who has left, and does not ask whether it is the same again."""

    def leave_group(self, ref, *, failed):
        instance = instance_of(ref.step)
        groups = self._loops.get(ref.job_id, {}).get(instance.step, {})
        group = groups.get(group_of(instance.index))
        if group is not None and group.open and instance.index not in group.open:
            groups[group.number] = replace(group, open=group.open - {max(group.open)})
        return super().leave_group(ref, failed=failed)


class _AllAreOthers(MemoryJobs):
    """Whoever raises the mark of a loop believes that another sends its instances."""

    def mark_sent(self, job_id, step, below):
        super().mark_sent(job_id, step, below)
        return below


class _NoMark(MemoryJobs):
    """Whoever looks at a loop sends all of its instances again."""

    def mark_sent(self, job_id, step, below):
        super().mark_sent(job_id, step, below)
        return 0


class _UnconditionalBegin(MemoryJobs):
    """The last who decides on a step is right."""

    def begin_step(self, wanted):
        return self._put(wanted.ref, begun(wanted, self._record(wanted.ref)))


class _AnyAnswer(MemoryJobs):
    """An answer does not ask whether there was one before it."""

    def end_step(self, end):
        record = self._record(end.ref)
        if record is not None and record.suspended_at is not None:
            ended = replace(record, status=end.status, nonce=end.nonce, output=end.output)
            return self._put(end.ref, ended)
        return super().end_step(end)


class _NoLimit(WatchedSlots):
    """Whoever asks for a place has one."""

    def take(self, slot, job_id):
        self._holders.setdefault(slot.key, set()).add(job_id)
        return super().take(slot, job_id)


class _NeverFree:
    """The slots, to whom nobody ever gives a place back."""

    def __init__(self, slots):
        self._slots = slots

    def line(self, key, limit):
        line = self._slots.line(key, limit)
        return Line(dict.fromkeys([*line.holders, *map(str, range(9))]).keys(), line.waiters)

    def __getattr__(self, name):
        return getattr(self._slots, name)


def _sweep_without_admission(engine):
    return recovery.sweep(replace(engine, slots=_NeverFree(engine.slots)))


def _child_first(engine, plan, state, ref, attempt, each):
    """Make the sub-job before the record that names it."""
    decision = _DECIDE(engine, plan, state, ref, attempt, each)
    if decision.child is not None:
        task, given = children._task_and_input(engine, plan, state, ref, each)
        parent = Parent(ref, attempt)
        make(engine, children._new_child(plan, state.job, task, given, parent))
    return decision


_DECIDE = children.decide


def _propagate_to_whom_it_may_concern(engine, agenda, plan, state):
    """End the parent's step, whichever attempt of it runs by now."""
    parent = state.job.parent
    above = engine.jobs.load_steps(parent.ref.job_id, (parent.ref.step,))
    record = above.steps.get(parent.ref.step)
    if record is not None:
        hold = Hold(parent.ref, record.attempt, record.lease or "")
        wanted = children._ending(engine, plan, state, above.job)
        over = engine.plan_of(above.job)
        children._end_step(engine, agenda, over, above, hold, wanted)
    return True


class _ChanceIds:
    """Derives another id each time."""

    def __init__(self):
        self._count = 0

    def __call__(self, *parts):
        self._count += 1
        return derived_id(*parts, str(self._count))


def _hooks_of_each_try(plan, job, status, retry_job):
    wanted = _AFTER_ACTIONS(plan, job, status, retry_job)
    is_hooked = event_of(status) and hooks.of_end(plan, job, status)
    return wanted | {AfterAction.HOOKS} if is_hooked else wanted


_AFTER_ACTIONS = ending._after_actions


def _released_first():
    order = dict(ending._IN_ORDER)
    first = (AfterAction.RELEASE, AfterAction.STOP_STEPS)
    rest = [action for action in order if action not in first]
    return tuple((action, order[action]) for action in (*first, *rest))


def _claim_in_spite_of_a_pause(engine, received, session, worker):
    return workers.take(replace(engine, jobs=_Unpaused(engine.jobs)), received, session, worker)


class _Unpaused:
    def __init__(self, jobs):
        self._jobs = jobs

    def load_steps(self, job_id, steps):
        state = self._jobs.load_steps(job_id, steps)
        return JobState(replace(state.job, paused=False), state.steps)

    def __getattr__(self, name):
        return getattr(self._jobs, name)


def _forgets(module, name, *, answer=None):
    """Return a build without one function: it says `answer` and does nothing."""
    return Build(functions=((module, name, lambda *_: answer),))


def _overdue_of_all_but(status):
    def overdue_at(engine, plan, job, record):
        if record.status is status:
            return None
        return _OVERDUE_AT(engine, plan, job, record)

    return Build(functions=((recovery, "overdue_at", overdue_at),))


_OVERDUE_AT = recovery.overdue_at


def _no_look_at_the_ended(engine, job_id):
    if not engine.jobs.get(job_id).status.is_terminal:
        _LOOK(engine, job_id)


_LOOK = recovery.look


def _in_order_with(action, function):
    return tuple((a, function if a is action else done) for a, done in ending._IN_ORDER)


def _with(*function):
    """Return a build with one function of the engine in the place of another."""
    return Build(functions=(function,))


MORE_MUTANTS = (
    Mutant("groups are not left", Build(jobs=_GroupNotLeft)),
    Mutant("groups count", Build(jobs=_CountedGroup)),
    Mutant("nobody sends the instances", Build(jobs=_AllAreOthers)),
    Mutant("everybody sends the instances", Build(jobs=_NoMark)),
    Mutant("unconditional begin of a step", Build(jobs=_UnconditionalBegin)),
    Mutant("any answer counts", Build(jobs=_AnyAnswer)),
    Mutant("places without a limit", Build(slots=_NoLimit)),
    Mutant("places given back too early", _with(ending, "_IN_ORDER", _released_first())),
    Mutant(
        "places not given back",
        _with(ending, "_IN_ORDER", _in_order_with(AfterAction.RELEASE, lambda *_: True)),
    ),
    Mutant("no admission in the sweep", Build(use_cases=use(sweep=_sweep_without_admission))),
    Mutant("sub-job before its record", _with(begin.children, "decide", _child_first)),
    Mutant("sub-jobs by chance", _with(children, "derived_id", _ChanceIds())),
    Mutant(
        "sub-job's end without its lease",
        _with(
            ending,
            "_IN_ORDER",
            _in_order_with(AfterAction.PARENT, _propagate_to_whom_it_may_concern),
        ),
    ),
    Mutant("hooks by chance", _with(hooks, "derived_id", _ChanceIds())),
    Mutant("hooks of each try", _with(ending, "_after_actions", _hooks_of_each_try)),
    Mutant("pause ignored at the claim", Build(use_cases=use(take=_claim_in_spite_of_a_pause))),
    Mutant("no time-out of approvals", _overdue_of_all_but(StepStatus.SUSPENDED)),
    Mutant("no time-out of what runs", _overdue_of_all_but(StepStatus.RUNNING)),
    Mutant("no deadline", _with(ending, "expire", lambda _engine, _plan, job: job)),
    Mutant("lost sub-jobs are not made", _forgets(recovery, "_mend")),
    Mutant("loops are not mended", _forgets(loops, "_mend", answer=False)),
    Mutant("the ended are not looked at", _with(recovery, "look", _no_look_at_the_ended)),
    Mutant("the lost are believed to run", _forgets(recovery, "_is_held", answer=True)),
    Mutant("the unclaimed wait for ever", _forgets(waiting, "unclaimed", answer=False)),
)
