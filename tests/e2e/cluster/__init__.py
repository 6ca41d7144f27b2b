"""A real single-node Kubernetes with a real Envoy Gateway, for end-to-end tests.

Everything runs as child processes in one network namespace that has no default route, so nothing
in it can reach, or be reached by, anything but this machine. Root is needed.
"""
