"""The worker: claim, run, stream the log, report."""
