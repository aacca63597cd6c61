"""ops/README.md: the names in the table from operator to kernel exist."""

import re
from pathlib import Path

import pytest
from sapa_ops import build

README = Path(__file__).parents[2] / 'ops' / 'README.md'
# (folder, file, name), and the kernels in backquotes after the operator and its direction.
PLACES = [
    (folder, *place)
    for row in re.findall(r'^\| .*, forward .*|^\| … backward .*', README.read_text(), re.M)
    for folder, cell in zip(('cpu', 'cuda'), row.split('|')[3:5], strict=True)
    for place in re.findall(r'(\w+\.h): `(\w+)', cell)
]


def test_every_kernel_has_a_place():
    text = (build.csrc() / 'cpu' / 'kernels.h').read_text()
    kernels = set(re.findall(r'\(\*(\w+_(?:forward|backward_\w+))\)', text))
    rows = re.findall(r'^\| (?:\w+, forward|… backward .*?) \| `(\w+)`', README.read_text(), re.M)
    assert set(rows) == kernels
    assert len(PLACES) == 2 * len(kernels)


@pytest.mark.parametrize('place', PLACES, ids='-'.join)
def test_places(place):
    folder, file, name = place
    assert re.search(rf'\b{name}\b', (build.csrc() / folder / file).read_text())
