"""Rotate the certificates that Envoy, Envoy Gateway and the rate limit service trust each other by.

A rotation moves the control plane from one generation of certificates (a CA and three leaves) to
another. A rollback is the same move with the generations exchanged. Pure: material, generation,
knowledge, owners, emit, words. Reads and writes: installation, writes, lock, live. Joined: engine.
"""
