"""Build the compiled form: ahead of time from ``setup.py``, or just in time from here.

Imports nothing from the package, so that ``setup.py`` can use it before installation.

    python ops/sapa_ops/build.py [--sanitize] [--folder FOLDER]

builds just in time and prints the path of the library; set ``SAPA_OPS_LIBRARY`` to it to use it.
"""

import argparse
import os
import re
import shutil
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

_HERE = Path(__file__).resolve().parent
_REQUESTS = ('auto', 'cpu', 'cuda', 'none')

# Built for on machines without a GPU; the last also as PTX, for later ones.
_CUDA_ARCHITECTURES = '7.5;8.0;8.6;9.0;10.0+PTX'

# The first whose stable ABI has all that the sources use; a library runs with any later one.
_OLDEST_TORCH = (2, 10)


@dataclass
class Plan:
    """What to build.

    Attributes:
        devices (tuple[str, ...]): Of 'cpu' and 'cuda'; empty if nothing is built.
        unavailable (dict[str, str]): Why each other device is not.
        required (bool): Whether a failed build is an error; if not, only the eager form is
            installed.
    """

    devices: tuple[str, ...] = ()
    unavailable: dict[str, str] = field(default_factory=dict)
    required: bool = False


def plan() -> Plan:
    """Decide what to build, by ``SAPA_OPS_BUILD`` (auto, cpu, cuda or none) and this machine.

    Returns:
        Plan: The devices, and why not the others.

    Raises:
        ValueError: If ``SAPA_OPS_BUILD`` is something else.
        RuntimeError: If it asks for a device that this machine cannot build for.
    """
    request = os.environ.get('SAPA_OPS_BUILD', 'auto')
    if request not in _REQUESTS:
        raise ValueError(f'SAPA_OPS_BUILD must be one of {", ".join(_REQUESTS)}, got {request!r}')
    if request == 'none':
        reason = 'it was built with SAPA_OPS_BUILD=none'
        return Plan(unavailable={'cpu': reason, 'cuda': reason})

    no_cpu = _why_no_cpu()
    no_cuda = no_cpu or _why_no_cuda()
    unavailable = {'cpu': no_cpu, 'cuda': no_cuda}
    if request == 'cpu':
        unavailable['cuda'] = 'it was built for the CPU alone (SAPA_OPS_BUILD=cpu)'
    elif request == 'cuda' and no_cuda:
        raise RuntimeError(f'SAPA_OPS_BUILD=cuda: {no_cuda}')
    if request != 'auto' and no_cpu:
        raise RuntimeError(f'SAPA_OPS_BUILD={request}: {no_cpu}')
    devices = tuple(device for device, reason in unavailable.items() if reason is None)
    reasons = {device: reason for device, reason in unavailable.items() if reason}
    return Plan(devices, reasons, required=request != 'auto')


def csrc() -> Path:
    """Find the folder of the C++ and CUDA sources: in the package, or beside it in a checkout."""
    return next(f for f in (_HERE / 'csrc', _HERE.parent / 'csrc') if f.is_dir())


def settings(devices: tuple[str, ...], sanitize: bool = False) -> dict:
    """Choose sources and flags, for builds ahead of time and just in time alike.

    Args:
        devices (tuple[str, ...]): Of 'cpu' and 'cuda'.
        sanitize (bool): Whether to build the CPU code with AddressSanitizer and
            UndefinedBehaviorSanitizer. Defaults to False.

    Returns:
        dict: ``sources`` (list[Path]), ``cxx``, ``nvcc`` and ``link`` (lists of flags).
    """
    root = csrc()
    sources = sorted((root / 'cpu').glob('*.cpp'))
    sources += [path for path in sorted((root / 'bindings').glob('*.cpp')) if path.stem != 'cuda']
    if 'cuda' in devices:
        sources += [root / 'bindings' / 'cuda.cpp', *sorted((root / 'cuda').glob('*.cu'))]
    # The stable ABI of torch 2.10 and later.
    cxx = ['-O3', '-fvisibility=hidden', '-DTORCH_TARGET_VERSION=0x020a000000000000']
    if 'cuda' in devices:
        cxx.append('-DUSE_CUDA')
    link = []
    if sanitize:
        sanitizers = ['-fsanitize=address,undefined', '-fno-sanitize-recover=undefined']
        cxx += ['-g', '-O1', '-fno-omit-frame-pointer', *sanitizers]
        link += sanitizers
    else:
        # One of Python's own flags in builds ahead of time: gcc's point kernels are slower without.
        cxx.append('-fwrapv')
    return dict(sources=sources, cxx=cxx, nvcc=nvcc_flags(), link=link)


def nvcc_flags() -> list[str]:
    """Flags of every CUDA compilation, except architectures."""
    return ['-O3', '--expt-relaxed-constexpr', '-Xcompiler=-fvisibility=hidden']


def name_architectures() -> None:
    """Set ``TORCH_CUDA_ARCH_LIST`` if it is not set and there is no GPU."""
    import torch

    if not torch.cuda.is_available():
        os.environ.setdefault('TORCH_CUDA_ARCH_LIST', _CUDA_ARCHITECTURES)


def build_just_in_time(folder: str | None = None, sanitize: bool = False) -> Path:
    """Build the library with torch's just-in-time builder (which needs ninja) and load it.

    Args:
        folder (str, optional): Where to build. Defaults to None, torch's cache.
        sanitize (bool): See ``settings``. Defaults to False.

    Returns:
        Path: The library.

    Raises:
        RuntimeError: If this machine cannot build, or the build fails.
    """
    planned = plan()
    if not planned.devices:
        raise RuntimeError(f'sapa_ops cannot be built: {planned.unavailable["cpu"]}')
    from torch.utils import cpp_extension

    devices = ('cpu',) if sanitize else planned.devices
    chosen = settings(devices, sanitize)
    if 'cuda' in devices:
        name_architectures()
    name = '_'.join(('sapa_ops', *devices, *(['sanitized'] if sanitize else [])))
    if folder is not None:
        Path(folder).mkdir(parents=True, exist_ok=True)
    return Path(
        cpp_extension.load(
            name=name,
            sources=[str(path) for path in chosen['sources']],
            extra_cflags=chosen['cxx'],
            extra_cuda_cflags=chosen['nvcc'],
            extra_ldflags=chosen['link'],
            build_directory=folder,
            with_cuda='cuda' in devices,
            is_python_module=False,
        )
    )


def _why_no_cpu() -> str | None:
    try:
        import torch
    except ImportError:
        return 'torch was not installed when it was built'
    if tuple(map(int, torch.__version__.split('.')[:2])) < _OLDEST_TORCH:
        oldest = '.'.join(map(str, _OLDEST_TORCH))
        return f'it compiles against torch {oldest} or later, not {torch.__version__}'
    compiler = os.environ.get('CXX', 'c++').split()[0]
    if shutil.which(compiler) is None:
        return f'no C++ compiler was found when it was built (looked for {compiler})'
    return None


def _why_no_cuda() -> str | None:
    import torch

    if torch.version.cuda is None:
        return f'it was built with torch {torch.__version__}, which has no CUDA'
    from torch.utils.cpp_extension import CUDA_HOME

    nvcc = Path(CUDA_HOME) / 'bin' / 'nvcc' if CUDA_HOME else None
    if nvcc is None or not nvcc.exists():
        return 'no nvcc was found when it was built (CUDA_HOME, or nvcc in PATH)'
    if not (nvcc.parents[1] / 'include' / 'cuda_runtime.h').exists():
        return f'CUDA_HOME={CUDA_HOME} had no include/cuda_runtime.h when it was built'
    text = subprocess.run([nvcc, '--version'], capture_output=True, text=True).stdout
    version = re.search(r'release (\d+)\.(\d+)', text)
    if version is None or version[1] != torch.version.cuda.split('.')[0]:
        found = '.'.join(version.groups()) if version else 'unknown'
        return f'{nvcc} is of CUDA {found}, torch {torch.__version__} of {torch.version.cuda}'
    return None


def main(argv: list[str] | None = None) -> None:
    """Build just in time and print the library's path."""
    parser = argparse.ArgumentParser(description='Build the compiled operators just in time.')
    parser.add_argument('--sanitize', action='store_true', help='with ASan and UBSan, CPU only')
    parser.add_argument('--folder', help="where to build (torch's cache of extensions)")
    arguments = parser.parse_args(argv)
    print(build_just_in_time(arguments.folder, arguments.sanitize))


if __name__ == '__main__':
    main()
