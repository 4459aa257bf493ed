"""What events start: plain functions that app.py calls."""
