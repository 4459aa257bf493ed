"""Which blueprint hangs where. Every route of the product is in one of these."""

from __future__ import annotations

from chalice.app import Blueprint

from chalicelib.api import (
    approvals,
    control,
    costs,
    health,
    jobs,
    steps,
    tasks,
    worker,
    workers,
    workspaces,
)

BLUEPRINTS: tuple[tuple[Blueprint, str | None], ...] = (
    (health.bp, None),
    (workspaces.bp, "/api"),
    (tasks.bp, "/api"),
    (jobs.bp, "/api"),
    (control.bp, "/api"),
    (steps.bp, "/api"),
    (costs.bp, "/api"),
    (workers.bp, "/api"),
    (approvals.bp, None),
    (worker.bp, "/worker"),
)
