"""Dashboards and alert rules: shipped as data, installed by plan, verified against Prometheus."""
