"""Live logs: pushed to those who watch. Reading and archiving is the engine's own."""
