"""Peak memory of this process."""

import resource
import sys


def peak_rss() -> int:
    """Peak resident memory of this process in bytes, since it started or was last reset."""
    # ru_maxrss is the second choice: on Linux it starts at the peak of the parent process.
    try:
        with open('/proc/self/status') as file:
            return next(1024 * int(line.split()[1]) for line in file if line.startswith('VmHWM'))
    except (OSError, StopIteration):
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak if sys.platform == 'darwin' else 1024 * peak


def reset_peak_rss() -> None:
    """Lets the peak start anew from what the process uses now, where the system can do so."""
    try:
        with open('/proc/self/clear_refs', 'w') as file:
            file.write('5')
    except OSError:
        pass  # the peak so far stands
