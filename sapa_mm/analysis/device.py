"""The name of the device that something was measured on."""

import platform

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
