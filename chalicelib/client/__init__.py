"""A client of live updates: follow a job from Python, as the command line does."""
