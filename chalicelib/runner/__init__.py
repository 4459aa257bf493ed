"""Runs one step as a process on this machine, for workers and for `stroem run`."""
