"""Rules: Install."""
