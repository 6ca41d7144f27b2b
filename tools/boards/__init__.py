"""The five boards that egops ships, as data for `tools/dashboards.py`."""
