"""Use cases over ports. Nothing here knows a clock, a network or AWS: the adapters do."""
