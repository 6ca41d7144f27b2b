"""Rules: Rate limiting."""
