"""Who may do what: passwords, tokens, keys, signed links."""
