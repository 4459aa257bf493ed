"""The pure core: values and decisions. No clock, IO, randomness, AWS or framework."""
