"""Rules of `egops upgrade-check`: what the next Envoy Gateway changes for these objects."""
