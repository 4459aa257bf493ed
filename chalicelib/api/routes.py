"""Which blueprint hangs where. Every route of the product is in one of these."""

from __future__ import annotations

from chalice.app import Blueprint

from chalicelib.api import health, jobs, tasks, worker, workers, workspaces

BLUEPRINTS: tuple[tuple[Blueprint, str | None], ...] = (
    (health.bp, None),
    (workspaces.bp, "/api"),
    (tasks.bp, "/api"),
    (jobs.bp, "/api"),
    (workers.bp, "/api"),
    (worker.bp, "/worker"),
)
