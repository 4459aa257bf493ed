"""The command `stroem`, one file a verb."""
