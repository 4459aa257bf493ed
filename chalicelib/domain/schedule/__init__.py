"""Cron schedules: parse them, and find the next time. The way in is `cron`."""
