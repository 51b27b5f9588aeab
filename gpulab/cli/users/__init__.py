"""Commands for users, tokens and classes."""
