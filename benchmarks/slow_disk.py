"""A disk that takes longer: each fsync sleeps first, several at once side by side, as a disk that syncs them together.

``python -m benchmarks.slow_disk MS ARGUMENTS`` is ``jobserver ARGUMENTS`` on one. git's own fsyncs stay as they are.
"""

import os
import runpy
import sys
import time

_fsync = os.fsync


def slow_down(milliseconds: float) -> None:
    """For the rest of this process, or until the next call."""

    def slowly(descriptor: int) -> None:
        time.sleep(milliseconds / 1000)
        _fsync(descriptor)

    os.fsync = slowly if milliseconds else _fsync


if __name__ == "__main__":
    slow_down(float(sys.argv[1]))
    sys.argv[1:] = sys.argv[2:]
    runpy.run_module("jobserver", run_name="__main__")
