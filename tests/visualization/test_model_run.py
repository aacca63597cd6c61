"""Recording the calls of upsamplers changes no result and leaves no hook."""

import pytest
import torch
from torch import nn

pytest.importorskip('mmcv')

from sapa_mm.upsamplers import Bilinear, SapaB
from sapa_mm.visualization.model_run import record_calls


class Decoder(nn.Module):
    """Calls its upsamplers in another order than defined, and modifies their outputs in place."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.second = Bilinear(4)
        self.first = SapaB(4, embed_dims=2)

    def forward(self, x, guide, fails=False):
        high = self.first(x, guide=guide)
        out = self.second(high)
        high.zero_()
        guide.zero_()
        if fails:
            raise RuntimeError('oops')
        return out + self.first(x=x, guide=torch.ones_like(guide)).mean()


def inputs():
    generator = torch.Generator().manual_seed(1)
    return torch.randn(1, 4, 3, 3, generator=generator), torch.randn(
        1, 4, 6, 5, generator=generator
    )


def hooks(model):
    return [
        hook
        for module in model.modules()
        for hook in (*module._forward_hooks, *module._forward_pre_hooks)
    ]


@torch.no_grad()
def test_outputs_are_the_same_and_no_hook_stays():
    decoder = Decoder()
    before = decoder(*inputs())
    with record_calls(decoder) as calls:
        during = decoder(*inputs())
        assert hooks(decoder)
    after = decoder(*inputs())
    assert torch.equal(before, during)
    assert torch.equal(before, after)
    assert not hooks(decoder)
    assert not decoder.first._forward_hooks_with_kwargs
    assert len(calls) == 2


@torch.no_grad()
def test_calls_are_recorded_in_order_as_they_were():
    decoder, (x, guide) = Decoder(), inputs()
    with record_calls(decoder) as calls:
        decoder(*inputs())
    # The third call is one of an upsampler that was called before.
    assert [call.name for call in calls] == ['first', 'second']
    assert torch.equal(calls[0].x, x)
    assert torch.equal(calls[0].guide, guide)
    assert torch.equal(calls[0].output, decoder.first(x, guide))
    assert torch.equal(calls[1].x, calls[0].output)
    assert calls[1].guide is None


@torch.no_grad()
def test_no_hook_stays_after_an_error():
    decoder = Decoder()
    with pytest.raises(RuntimeError, match='oops'), record_calls(decoder) as calls:
        decoder(*inputs(), fails=True)
    assert [call.name for call in calls] == ['first', 'second']
    assert not hooks(decoder)


@torch.no_grad()
def test_an_upsampler_by_itself_and_with_gradients():
    upsampler, (x, guide) = SapaB(4, embed_dims=2), inputs()
    with record_calls(upsampler) as calls, torch.enable_grad():
        upsampler(x, guide)
    assert not calls[0].output.requires_grad
