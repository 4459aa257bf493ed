"""Workspaces outside the core: read from a folder, packed, unpacked, and named by their content."""
