"""What rules need to know about an upgrade: releases, who is attached to whom, what is broken.

Pure: everything is computed from a Snapshot, nothing here reads the world.
"""
