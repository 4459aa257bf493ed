"""What a definition must keep beyond its form: names, flows, templates, scripts.

The way in is `workspace`.
"""
