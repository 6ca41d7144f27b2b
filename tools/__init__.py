"""Tools for working on egops; not part of the package."""
