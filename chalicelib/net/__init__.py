"""Requests to places that are not ours. Rooms beside this one get what is here through ports."""
