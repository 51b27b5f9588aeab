"""The hidden check of an assignment."""
