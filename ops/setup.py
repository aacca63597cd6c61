"""Build the operators as far as this machine can; the choice and the flags are in build.py."""

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

ROOT = Path(__file__).resolve().parent
LIBRARY = 'sapa_ops._kernels'
# Of CUDAExtension's and CppExtension's, those whose symbols are used: a name of the rest would be
# one more thing that another torch may lack.
LIBRARIES = ('torch_cpu', 'torch_cuda', 'cudart')


def load_build():
    """Import sapa_ops/build.py without the package around it."""
    spec = importlib.util.spec_from_file_location('build_sapa_ops', ROOT / 'sapa_ops' / 'build.py')
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def find_torch():
    """Let an isolated build see the torch of the environment that it installs into."""
    if importlib.util.find_spec('torch') is None:
        where = 'import torch; print(torch.__path__[0])'
        found = subprocess.run([sys.executable, '-I', '-c', where], capture_output=True, text=True)
        if found.returncode == 0:
            sys.path.append(str(Path(found.stdout.strip()).parent))


def package(command):
    """Find the folder that a command fills: of an editable installation, that of the sources."""
    in_source = getattr(command, 'editable_mode', False) or getattr(command, 'inplace', False)
    return (ROOT if in_source else Path(command.build_lib)) / 'sapa_ops'


def write_record(folder, unavailable):
    """Write the reasons where sapa_ops.backend_for finds them, whole or not at all."""
    folder.mkdir(parents=True, exist_ok=True)
    unfinished = folder / '_build.json.new'
    unfinished.write_text(json.dumps(unavailable, indent=2) + '\n')
    os.replace(unfinished, folder / '_build.json')


find_torch()
build = load_build()
plan = build.plan()


class BuildPython(build_py):
    """Add the record of what is not built."""

    def run(self):
        """Copy the package, then write the record beside it."""
        super().run()
        if not self.dry_run:
            write_record(package(self), plan.unavailable)


def extension(devices):
    """Describe the library for some devices. It has no Python in it: one serves all versions."""
    from torch.utils.cpp_extension import CppExtension, CUDAExtension

    chosen = build.settings(devices)
    with_cuda = 'cuda' in devices
    made = (CUDAExtension if with_cuda else CppExtension)(
        LIBRARY,
        [str(path.relative_to(ROOT)) for path in chosen['sources']],
        extra_compile_args=dict(cxx=chosen['cxx'], nvcc=chosen['nvcc']),
        extra_link_args=chosen['link'],
        py_limited_api=True,
    )
    made.libraries = [name for name in made.libraries if name in LIBRARIES]
    return made


def build_command():
    """torch's build command; where a device was not asked for and fails, the rest is built."""
    from torch.utils.cpp_extension import BuildExtension

    class Build(BuildExtension):
        def build_extensions(self):
            devices, unavailable = plan.devices, dict(plan.unavailable)
            while devices:
                try:
                    super().build_extensions()
                    break
                except Exception as error:
                    if plan.required:
                        raise
                    device, devices = devices[-1], devices[:-1]
                    unavailable[device] = f'its build failed: {error}'
                    self.warn(f'sapa_ops: no operators for {device}: {error}')
                    if devices:
                        vars(self.extensions[0]).update(vars(extension(devices)))
            if not devices:
                self.extensions.clear()
                for earlier in package(self).glob('_kernels*.so'):
                    earlier.unlink()
            write_record(package(self), unavailable)

    return Build


commands = dict(build_py=BuildPython)
extensions = []
if plan.devices:
    if 'cuda' in plan.devices:
        build.name_architectures()
    commands['build_ext'] = build_command()
    extensions = [extension(plan.devices)]
setup(
    ext_modules=extensions,
    cmdclass=commands,
    options=dict(bdist_wheel=dict(py_limited_api='cp310')) if extensions else {},
)
