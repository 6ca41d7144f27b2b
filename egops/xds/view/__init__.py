"""The rows of `egops inspect`: each module turns one section of a dump into frozen rows.

A row encodes to JSON as it is; `cells()` gives its columns as text, `wide()` some more.
"""
