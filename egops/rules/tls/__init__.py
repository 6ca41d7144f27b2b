"""Rules: TLS and certificates."""
