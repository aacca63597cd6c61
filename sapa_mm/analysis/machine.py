"""What a measurement ran on: its device's name, and the peak memory of this process."""

import platform
import resource
import sys

import torch


def describe_device(device: str) -> str:
    """Names a device.

    Args:
        device (str): 'cuda', or 'cpu' or another that torch has no name for.

    Returns:
        str: The GPU's name; the CPU's, with the number of threads.
    """
    if device == 'cuda':
        return torch.cuda.get_device_name()
    threads = torch.get_num_threads()
    name = cpu_model() if device == 'cpu' else device
    return f'{name}, {threads} thread{"s" if threads > 1 else ""}'


def cpu_model() -> str:
    """The CPU's name."""
    try:
        with open('/proc/cpuinfo') as file:
            names = [line.split(':', 1)[1].strip() for line in file if 'model name' in line]
    except OSError:
        names = []
    return names[0] if names else platform.processor() or platform.machine()


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
