"""What holds for all tests: properties are judged by what they find, never by how long it takes.

A run started in the background ignores Ctrl-C, and so would every command that the tests interrupt.
"""

import signal

from hypothesis import HealthCheck, settings

settings.register_profile("egops", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("egops")

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
