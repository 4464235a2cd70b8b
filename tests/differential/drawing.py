"""How much is drawn at random. The default is the same on every machine: a fixed seed and a fixed number of draws, so that a
change that passed once passes everywhere. With DIFFERENTIAL_SECONDS the drawing goes on for that time from a seed of its own
(or from DIFFERENTIAL_SEED, to see a finding again)."""

import os
import random
import time

SECONDS = float(os.environ.get("DIFFERENTIAL_SECONDS", 0))
SEED = int(os.environ.get("DIFFERENTIAL_SEED", time.time_ns() % 10**9 if SECONDS else 20260101))


class Drawing:
    """`source` is what generators draw from; going over the object gives the number of each draw."""

    def __init__(self, draws):
        self.source = random.Random(SEED)
        self._draws, self._end = draws, time.monotonic() + SECONDS

    def __iter__(self):
        number = 0
        while time.monotonic() < self._end if SECONDS else number < self._draws:
            yield number
            number += 1
