"""Rules: xDS and proxies."""
