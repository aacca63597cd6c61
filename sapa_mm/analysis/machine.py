"""Names of devices, and the peak memory of this process."""

import platform
import resource
import sys

import torch


def describe_device(device: str) -> str:
    """Names a device.

    Args:
        device (str): 'cuda', 'cpu', or another that torch has no name for.

    Returns:
        str: The name of the GPU, or of the CPU with its number of threads.
    """
    if device == 'cuda':
        return torch.cuda.get_device_name()
    threads = torch.get_num_threads()
    name = cpu_model() if device == 'cpu' else device
    return f'{name}, {threads} thread{"s" if threads > 1 else ""}'


def cpu_model() -> str:
    """Names the CPU."""
    try:
        with open('/proc/cpuinfo') as file:
            names = [line.split(':', 1)[1].strip() for line in file if 'model name' in line]
    except OSError:
        names = []
    return names[0] if names else platform.processor() or platform.machine()


def peak_rss() -> int:
    """Peak resident memory of this process in bytes, since its start or the last reset."""
    # ru_maxrss is only a fallback: on Linux it starts at the peak of the parent process.
    try:
        with open('/proc/self/status') as file:
            return next(1024 * int(line.split()[1]) for line in file if line.startswith('VmHWM'))
    except (OSError, StopIteration):
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak if sys.platform == 'darwin' else 1024 * peak


def reset_peak_rss() -> None:
    """Resets the peak to the current usage, on systems that support it."""
    try:
        with open('/proc/self/clear_refs', 'w') as file:
            file.write('5')
    except OSError:
        pass  # the previous peak remains
