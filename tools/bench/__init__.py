"""Generators of large inputs, for `make bench`."""
