"""Rules: Observability."""
