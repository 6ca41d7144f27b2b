"""Rules: Extensions."""
