"""Rules: Capacity."""
