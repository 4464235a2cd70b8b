"""Waiting for a condition with a bound, instead of sleeping for a guess."""

import threading
import time

_never = threading.Event()


class Timeout(AssertionError):
    """The deadline passed."""


class GiveUp(AssertionError):
    """Raised by a condition that can no longer come true: ends the waiting at once."""


def wait_until(condition, deadline=10.0, what=None, every=0.02):
    """Calls `condition` until it returns something true, and returns that; an exception but GiveUp counts as "not yet".

    `deadline` is in seconds, and long on purpose: it is only reached when something is broken.
    """
    end = time.monotonic() + deadline
    while True:
        error = None
        try:
            value = condition()
            if value:
                return value
        except GiveUp:
            raise
        except Exception as e:  # noqa: BLE001 the last one is told below
            value, error = None, e
        if time.monotonic() >= end:
            raise Timeout(f"not within {deadline} s: {what or condition} (last: {error or value!r})")
        _never.wait(every)
