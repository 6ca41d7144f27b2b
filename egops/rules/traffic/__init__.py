"""Rules: Traffic."""
