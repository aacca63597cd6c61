"""ops/README.md: what the table from operator to kernel says is so."""

import re
from pathlib import Path

import pytest
import torch
from sapa_ops import build
from sapa_ops.schemas import SCHEMAS

from ..support.operators import Case, Recorder, direct, only_tensors, run_direct

README = Path(__file__).parents[2] / 'ops' / 'README.md'
ROWS = re.findall(r'^\| `(\w+)` \|(.*)\|(.*)\|(.*)\|$', README.read_text(), re.M)
PLACES = [
    (folder, *re.search(r'(\w+\.h): `(\w+)', cell).groups())
    for *_, in_cpu, in_cuda in ROWS
    for folder, cell in (('cpu', in_cpu), ('cuda', in_cuda))
]


def test_every_operator_has_a_row():
    assert [name for name, *_ in ROWS] == list(SCHEMAS)


@pytest.mark.parametrize('row', ROWS, ids=lambda row: row[0])
def test_gradients(row):
    """Those that a backward pass runs."""
    name, gradients, *_ = row
    arguments, _ = direct(name, Case())
    names = list(only_tensors(arguments))
    tensors = [arguments[tensor].requires_grad_() for tensor in names]
    (out, *_) = run_direct(name, {**arguments, **dict(zip(names, tensors, strict=True))})
    named = re.findall('`(.*?)`', gradients)
    for tensor, gradient in zip(tensors, named, strict=name != 'point_gradients'):
        with Recorder() as recorder:
            torch.autograd.grad(out.sum(), tensor, retain_graph=True)
        assert gradient in recorder.names


@pytest.mark.parametrize('place', PLACES, ids='-'.join)
def test_places(place):
    folder, file, name = place
    assert re.search(rf'\b{name}\b', (build.csrc() / folder / file).read_text())
