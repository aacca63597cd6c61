"""Compile the CUDA sources with nvcc alone, and read ptxas' report on each kernel.

python -m tests.ops.nvcc prints a table for every architecture.
"""

import re
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from sapa_ops import build

ARCHITECTURES = (75, 80, 90, 100)
SOURCES = tuple(sorted(path.name for path in (build.csrc() / 'cuda').glob('*.cu')))


@dataclass
class Report:
    """The output of nvcc.

    Attributes:
        output (str): The whole output.
        registers (list[int]): Of each kernel.
        spills (list[int]): Bytes that each kernel spills.
        failed (bool): Whether nvcc failed.
    """

    output: str
    registers: list[int]
    spills: list[int]
    failed: bool


def compile_cuda(source: str, architectures: Sequence[int]) -> Report:
    """Compile a source in one call for all architectures, with warnings as errors.

    Args:
        source (str): File name in csrc/cuda.
        architectures (Sequence[int]): Such as 90, for sm_90.

    Returns:
        Report: The output.
    """
    targets = [f'-gencode=arch=compute_{arch},code=sm_{arch}' for arch in architectures]
    with tempfile.TemporaryDirectory() as folder:
        command = ['nvcc', '-c', '-std=c++17', *build.nvcc_flags(), *targets]
        command += ['-Werror=all-warnings', '-Xcompiler=-Wall,-Wextra,-Werror', '-Xptxas=-v']
        command += [str(build.csrc() / 'cuda' / source), '-o', str(Path(folder) / 'object.o')]
        result = subprocess.run(command, capture_output=True, text=True)
    output = result.stdout + result.stderr
    registers = [int(n) for n in re.findall(r'Used (\d+) registers', output)]
    spills = [int(n) for n in re.findall(r'(\d+) bytes spill stores', output)]
    return Report(output, registers, spills, result.returncode != 0)


def main() -> None:
    """Print the table."""
    print(
        '| source | architecture | kernels | registers, most | kernels that spill | bytes, most |'
    )
    print('|---|---|---|---|---|---|')
    for source in SOURCES:
        for architecture in ARCHITECTURES:
            report = compile_cuda(source, [architecture])
            if report.failed:
                raise SystemExit(report.output)
            spilling = sum(spill > 0 for spill in report.spills)
            print(
                f'| {source} | sm_{architecture} | {len(report.registers)} '
                f'| {max(report.registers)} | {spilling} | {max(report.spills)} |'
            )


if __name__ == '__main__':
    main()
