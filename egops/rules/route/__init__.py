"""Rules: Routes."""
