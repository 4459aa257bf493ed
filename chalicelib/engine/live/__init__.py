"""Live updates: who watches what, what is sent to whom, and when."""
