from torch import nn

from sapa_mm.analysis.parameters import count_parameters


def test_count_parameters():
    module = nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 2))
    module[0].weight.requires_grad_(False)
    assert count_parameters(module) == 4 + 8 + 2
    assert count_parameters(module, trainable_only=False) == 12 + 4 + 8 + 2
