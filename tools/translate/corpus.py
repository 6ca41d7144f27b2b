"""The project's own corpus (written below)."""


def corpus():
    return {}
