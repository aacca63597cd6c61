"""Multiply-adds: the formulas of Table 1, and the counter."""

import re

import pytest
import sapa_ops
import torch
from torch import nn

from sapa_mm.analysis.flops import count_flops
from sapa_mm.upsamplers import UPSAMPLERS, Upsampler, build_upsampler

from ..support.operators import FORMS

C = 256
#: The paper's totals with its defaults: d=64 and K=5 or 3; d=32, S=9, g=4 for SAPA.
TABLE_1 = {
    'CARAFE': C * 64 + 36 * 25 * 64 + 100 * C,
    'IndexNet HIN': 32 * C**2 + 12 * C,
    'IndexNet M2O': 68 * C**2 + 4 * C,
    'A2U': 73 * C + 36 + 36 * C,
    'FADE': 5 * C * 64 + 45 * 25 * 64 + 100 * C,
    'SAPA-I': 200 * C,
    'SAPA-B': 5 * C * 32 + 100 * 32 + 100 * C,
    'SAPA-D': 5 * C * 128 + 38 * 9 * 128 + 36 * 9 * C + 8 * 9 * C * 4,
}
PARAMS = {
    'CARAFE': C * 64 + 36 * 25 * 64,
    'IndexNet HIN': 32 * C**2 + 8 * C,
    'IndexNet M2O': 68 * C**2,
    'A2U': 36 * C + 2 * C,
    'FADE': 2 * C * 64 + 9 * 25 * 64,
    'SAPA-I': 0,
    'SAPA-B': 2 * C * 32,
    'SAPA-D': 2 * C * 128 + 8 * 9 * C * 4,
}
# Over 14592 low-res positions, SegFormer at 512x512, in billions: docs/reference.md,
# "Parameter columns".
SEGFORMER = [
    (dict(type='carafe'), 1.45),
    (dict(type='index_net'), 30.6),
    (dict(type='a2u'), 0.41),
    (dict(type='fade'), 2.62),
    (dict(type='fade', gate=True), 2.65),
    (dict(type='sapa_i'), 0.75),
    (dict(type='sapa_b'), 1.02),
    (dict(type='sapa_b', embed_dims=64), 1.66),
    (dict(type='sapa_d', shared_offset=True), 4.51),
    (dict(type='sapa_d'), 5.32),
    (dict(type='deconv'), 34.4),
    (dict(type='pixel_shuffle'), 34.4),
    (dict(type='bilinear'), 0),
]


def evaluate(formula, numbers):
    """The value of a formula such as 'Cd + 36K²d'."""
    product = re.sub(r'(?<=[\w²])(?=[A-Za-z])', '*', formula).replace('²', '**2')
    return eval(product, {}, numbers)


ROWS = {
    f'{kind.title} {row.variant}'.strip(): (kind, row)
    for kind in UPSAMPLERS.values()
    for row in kind.table_1
}


@pytest.mark.parametrize('title', TABLE_1)
def test_table_1(title):
    kind, row = ROWS[title]
    upsampler = build_upsampler(dict(type=kind, **row.options), C)
    assert upsampler.flops_per_position() == TABLE_1[title]
    weights = sum(p.numel() for p in upsampler.parameters() if p.dim() > 1)
    assert weights == PARAMS[title]
    # The printed formula is the computed one.
    numbers = dict(C=C, K=3 if title == 'A2U' else 5, S=9, g=4)
    numbers['d'] = 32 if title.startswith('SAPA') else 64
    assert evaluate(row.flops, numbers) == TABLE_1[title]
    assert evaluate(row.params, numbers) == PARAMS[title]


def test_table_1_has_all_rows():
    assert ROWS.keys() == TABLE_1.keys()


def test_the_gate_of_fade():
    """Its convolution at low resolution, and two products at high resolution."""
    with_gate, without = (
        build_upsampler(dict(type='fade', gate=gate), C).flops_per_position()
        for gate in (True, False)
    )
    assert with_gate - without == C + 2 * 4 * C


@pytest.mark.parametrize(('cfg', 'billions'), SEGFORMER)
def test_segformer(cfg, billions):
    flops = build_upsampler(cfg, C).flops_per_position() * 14592 / 1e9
    digits = len(str(billions).partition('.')[2])
    assert round(flops, digits) == billions


def test_every_upsampler_has_a_formula():
    for kind in UPSAMPLERS:
        assert isinstance(build_upsampler(dict(type=kind), 32).flops_per_position(), int)


def count(upsampler, channels=C, side=8):
    guide = (2, upsampler.guide_channels, 2 * side, 2 * side)
    flops = count_flops(
        upsampler, lambda x: upsampler(x, torch.empty(guide)), (2, channels, side, side)
    )
    assert flops.counted == flops.upsamplers
    return flops.counted / (2 * side**2)


@pytest.mark.parametrize('form', FORMS)
@pytest.mark.parametrize(
    ('cfg', 'expected'),
    [
        # A bilinear sample counts 4, where the paper's formula has 8.
        (dict(type='sapa_d'), 5 * C * 128 + 20 * 9 * 128 + 20 * 9 * C + 8 * 9 * C * 4),
        (dict(type='sapa_b'), TABLE_1['SAPA-B']),
        (dict(type='sapa_i'), TABLE_1['SAPA-I']),
        (dict(type='carafe'), TABLE_1['CARAFE']),
        (dict(type='fade'), TABLE_1['FADE']),
        # Elementwise: the products with the gate.
        (dict(type='fade', gate=True), TABLE_1['FADE'] + C),
        # Elementwise: the affinity, except its filters. Each image has filters and a descriptor.
        (dict(type='a2u'), TABLE_1['A2U'] - C - 4 * 9 + 108 * C / 8**2),
        # Elementwise: the product with the index map.
        (dict(type='index_net'), TABLE_1['IndexNet HIN'] - 4 * C),
        (dict(type='index_net', variant='m2o'), TABLE_1['IndexNet M2O'] - 4 * C),
        (dict(type='index_net', variant='m2o', hidden_ratio=2), 136 * C**2),
        (dict(type='dysample'), 8 * C * 4 + 20 * C),
        (dict(type='deconv'), 9 * C**2),
        (dict(type='pixel_shuffle'), 36 * C**2),
        (dict(type='bilinear'), 0),
    ],
)
def test_counter(cfg, expected, form):
    with sapa_ops.use_backend(form):
        assert count(build_upsampler(cfg, C)) == expected


def test_counter_with_other_channels():
    """The paper's formulas assume C' = C; ours do not."""
    for cfg in (dict(type='sapa_b'), dict(type='fade'), dict(type='carafe', up_group=2)):
        upsampler = build_upsampler(cfg, 64, 24)
        assert count(upsampler, 64) == upsampler.flops_per_position()


def test_the_note_says_why_they_differ():
    for cfg, size, start in (
        (dict(type='fade', gate=True), 16, "the gate's products, 2s²C, are elementwise"),
        (dict(type='deconv'), 16, "the paper's figure has k²s²C²"),
        (dict(type='fade'), 16, ''),
        (dict(type='carafe'), 15, 'the formula is for an output of s times the size'),
    ):
        upsampler = build_upsampler(cfg, 8)
        guide = torch.empty(1, 8, size, size)
        flops = count_flops(upsampler, lambda x, u=upsampler, g=guide: u(x, g), (1, 8, 8, 8))
        assert flops.note.startswith(start)
        assert (flops.note == '') == (start == '')


@pytest.mark.parametrize(('mode', 'pixels'), [('bilinear', 4), ('nearest', 0), ('bicubic', 16)])
def test_samples_are_counted(mode, pixels):
    """As in deformable attention without compiled operators."""

    def run(x):
        return nn.functional.grid_sample(x, torch.empty(2, 5, 7, 2), mode, align_corners=False)

    assert count_flops(nn.Identity(), run, (2, 3, 8, 8)).counted == pixels * 2 * 3 * 5 * 7


class Mine(Upsampler):
    def upsample(self, x, guide, size):
        return nn.functional.interpolate(x, size)


def test_a_users_own_upsampler_has_no_formula():
    model = nn.Sequential(nn.Conv2d(3, 4, 1), Mine(4), build_upsampler(dict(type='carafe'), 4))
    flops = count_flops(model, model, (1, 3, 8, 8))
    assert flops.upsamplers_by_formula is None
    assert flops.note == 'Mine states no flops_per_position'
    assert flops.counted == flops.upsamplers + 3 * 4 * 64


def test_leaves_the_model_as_it_was():
    model = nn.Sequential(build_upsampler(dict(type='carafe'), 4))
    state = {name: value.clone() for name, value in model.state_dict().items()}
    count_flops(model, model, (1, 4, 8, 8))
    assert model.training
    assert not model[0]._forward_hooks
    assert not model[0]._forward_pre_hooks
    assert all(torch.equal(value, state[name]) for name, value in model.state_dict().items())


def test_parts_keep_their_modes_and_inputs_may_be_named():
    class Head(nn.Module):
        def __init__(self):
            super().__init__()
            self.frozen = nn.BatchNorm2d(8)
            self.up = build_upsampler(dict(type='sapa_b'), 8)

        def forward(self, x):
            return self.up(x=self.frozen(x), guide=torch.empty(1, 8, 12, 16))

    head = Head()
    head.frozen.eval()
    flops = count_flops(head, head, (1, 8, 6, 8))
    assert flops.upsamplers_by_formula == 6 * 8 * head.up.flops_per_position()
    assert (head.training, head.up.training, head.frozen.training) == (True, True, False)
