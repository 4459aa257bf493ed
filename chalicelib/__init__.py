"""Strøm for AWS: everything that Lambda, workers and the command line share."""
