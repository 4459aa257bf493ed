"""From YAML to the model: all findings at once, each with its place.

The way in is `reading`, beside this room.
"""
