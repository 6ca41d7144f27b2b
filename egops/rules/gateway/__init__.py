"""Rules: Gateways and listeners."""
