"""Facts that policies read: those of a call itself, and the providers that an operator configures."""
