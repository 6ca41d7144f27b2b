"""Rules: Control plane."""
