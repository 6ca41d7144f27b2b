"""Envoy's side of the picture, pure: admin documents, names, ownership, matching."""
