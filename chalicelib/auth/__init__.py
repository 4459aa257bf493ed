"""Who may do what: signed links, and later tokens, accounts and permissions."""
