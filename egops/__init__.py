"""egops: the operations toolkit for Envoy Gateway."""

__version__ = "0.1.0"
