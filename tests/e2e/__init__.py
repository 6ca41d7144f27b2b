"""Tests against a real cluster: `make e2e`."""
