"""The upgrade rules, one line each, in order of code."""

UPGRADE_MODULES: tuple[str, ...] = ()
