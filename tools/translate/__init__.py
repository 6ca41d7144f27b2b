"""The differential test of `egops upgrade-check`: Envoy Gateway's own translators, two releases."""
