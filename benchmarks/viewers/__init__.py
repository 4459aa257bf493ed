"""`./dev bench viewers`: a crowd that follows one job through a network that loses and doubles."""
