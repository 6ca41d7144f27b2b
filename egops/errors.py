"""What stops a command.

EgopsError                 exit 3: could not judge
├── InputError             exit 2: usage, or input that is not what it should be
├── AccessError            exit 3: the API server, a pod or a file refused us
├── UnreachableError       exit 3: nobody answered
└── TimeoutReached         exit 124: `--timeout` ran out before anything could be judged

Findings never raise; what could not be read is a value in the Snapshot, not an error.
"""

from __future__ import annotations

from enum import IntEnum


class ExitCode(IntEnum):
    """Exit codes, the same for every command and every output format."""

    OK = 0
    FINDINGS = 1
    USAGE = 2
    CANNOT_JUDGE = 3
    BUG = 4
    TIMEOUT = 124
    INTERRUPTED = 130


class EgopsError(Exception):
    """A reason to stop, told in one line, with an optional next step."""

    exit_code = ExitCode.CANNOT_JUDGE

    def __init__(self, message: str, *, hint: str = "") -> None:
        """Take the message (one clause, no full stop) and the hint (what to do next)."""
        super().__init__(message)
        self.message = message
        self.hint = hint


class InputError(EgopsError):
    """Usage or input is wrong, and the user can correct it."""

    exit_code = ExitCode.USAGE


class AccessError(EgopsError):
    """Somebody refused us: RBAC, file permissions, authentication."""


class UnreachableError(EgopsError):
    """Nobody answered: DNS, connection, TLS, HTTP timeouts."""


class TimeoutReached(EgopsError):  # noqa: N818 - it names an event, not a fault
    """The `--timeout` of the command ran out."""

    exit_code = ExitCode.TIMEOUT
