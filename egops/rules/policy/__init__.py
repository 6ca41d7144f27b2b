"""Rules: Policies."""
