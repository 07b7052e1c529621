"""The clock of everything mlotel records.

Start times come from the wall clock, lengths from the monotonic one, so a step of the wall clock never makes a
duration negative. ``mlotel.testing`` replaces both functions.
"""

import time
from collections.abc import Callable

wall_ns: Callable[[], int] = time.time_ns
monotonic_ns: Callable[[], int] = time.perf_counter_ns
