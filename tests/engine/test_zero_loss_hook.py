"""A training whose loss is zero is warned of, once."""

import logging
from types import SimpleNamespace

import pytest
import torch

from sapa_mm.engine.zero_loss_hook import ZeroLossHook


@pytest.fixture
def warnings(monkeypatch):
    found = []
    monkeypatch.setattr('sapa_mm.utils.log._log', lambda *line: found.append(line))
    return found


def test_zero_is_warned_of_once(warnings):
    hook = ZeroLossHook()
    for index, loss in enumerate([0.5, float('nan'), 0.0, 0.0]):
        hook.after_train_iter(SimpleNamespace(iter=index), 0, None, {'loss': torch.tensor(loss)})
    ((text, level),) = warnings
    assert text.startswith('The loss of iteration 3 is 0: ')
    assert level == logging.WARNING


@pytest.mark.filterwarnings('error')
def test_a_loss_with_gradients(warnings):
    """torch warns where such a tensor becomes a number."""
    loss = torch.ones((), requires_grad=True)
    ZeroLossHook().after_train_iter(SimpleNamespace(iter=0), 0, None, {'loss': loss})
    assert warnings == []


def test_outputs_without_a_loss(warnings):
    hook = ZeroLossHook()
    for outputs in (None, {}, {'acc': 0.0}):
        hook.after_train_iter(SimpleNamespace(iter=0), 0, None, outputs)
    assert warnings == []
