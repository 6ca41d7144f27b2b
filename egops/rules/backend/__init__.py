"""Rules: Backends."""
