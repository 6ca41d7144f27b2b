"""Rules: CRDs."""
