"""The HTTP edge: parse, call one function, answer."""
