"""Workspaces outside the core: read from a folder, packed, unpacked, named by their content."""
