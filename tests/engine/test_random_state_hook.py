"""A run that is killed and resumed ends like an uninterrupted one."""

import inspect
import random
import signal
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.runner import IterBasedTrainLoop

from sapa_mm.engine import RandomStateHook, read_checkpoint
from sapa_mm.engine.random_state_hook import get_random_state, set_random_state

from ..support.run_tool import finish
from ..support.tiny_run import build_runner

pytestmark = pytest.mark.usefixtures('safe_loading')

SCRIPT = Path(__file__).parents[1] / 'support' / 'tiny_run.py'
LAST = {'iter': 'iter_12.pth', 'epoch': 'epoch_4.pth'}


def weights(work_dir, loop):
    return read_checkpoint(str(work_dir / LAST[loop]))['state_dict']


def equal(first, second):
    return all(torch.equal(first[key], second[key]) for key in first)


def kill(work_dir, loop, *options):
    """Run in a separate process that is killed before the eighth iteration."""
    finish([sys.executable, SCRIPT, work_dir, loop, *options], code=-signal.SIGKILL)
    assert (work_dir / 'last_checkpoint').exists()
    assert not (work_dir / LAST[loop]).exists()


@pytest.mark.parametrize('loop', ['iter', pytest.param('epoch', marks=pytest.mark.extended)])
def test_killed_run_ends_with_the_same_weights(tmp_path, loop):
    build_runner(tmp_path / 'whole', loop).train()
    kill(tmp_path / 'killed', loop)
    build_runner(tmp_path / 'killed', loop, resume=True).train()
    assert equal(weights(tmp_path / 'killed', loop), weights(tmp_path / 'whole', loop))


@pytest.mark.extended
@pytest.mark.parametrize('loop', ['iter', 'epoch'])
def test_without_the_hook_the_weights_differ(tmp_path, loop):
    build_runner(tmp_path / 'whole', loop, hook=False).train()
    kill(tmp_path / 'killed', loop, '--no-hook')
    build_runner(tmp_path / 'killed', loop, hook=False, resume=True).train()
    assert not equal(weights(tmp_path / 'killed', loop), weights(tmp_path / 'whole', loop))


def test_states_survive_a_checkpoint_and_give_the_same_numbers(tmp_path):
    def draw():
        return random.gauss(0, 1), np.random.randn(), torch.randn(3).tolist()  # noqa: NPY002

    draw()  # leaves half a pair of normal numbers in python's and numpy's states
    torch.save(get_random_state(), tmp_path / 'state.pth')
    expected = draw()
    set_random_state(torch.load(tmp_path / 'state.pth', weights_only=True))
    assert draw() == expected


def test_validation_leaves_the_training_alone(tmp_path):
    often = build_runner(tmp_path / 'often').train()
    rarely = build_runner(tmp_path / 'rarely')
    rarely.train_loop.val_begin = 100
    assert equal(rarely.train().state_dict(), often.state_dict())


def test_loading_weights_is_no_resuming(tmp_path):
    build_runner(tmp_path / 'first').train()
    path = str(tmp_path / 'first' / 'iter_12.pth')

    loading = build_runner(tmp_path / 'loading', load_from=path)
    loaded = loading.train().state_dict()

    given = build_runner(tmp_path / 'given')
    given.model.load_state_dict(read_checkpoint(path)['state_dict'])
    assert equal(given.train().state_dict(), loaded)


def test_a_checkpoint_without_states_is_resumed_with_a_warning(tmp_path, capfd):
    build_runner(tmp_path, hook=False, max_iters=3).train()
    build_runner(tmp_path, resume=True).train()
    output = capfd.readouterr()
    assert 'has no random states' in output.out + output.err


def test_fast_forward_on_resume_restores_before_the_first_batch(tmp_path):
    """OneDL may skip no batches: the sampler restarts, but the states continue."""
    if 'fast_forward_on_resume' not in inspect.signature(IterBasedTrainLoop).parameters:
        pytest.skip('this mmengine always skips')
    build_runner(tmp_path, max_iters=3).train()
    state = read_checkpoint(str(tmp_path / 'iter_3.pth'))['random_state']

    resumed = build_runner(tmp_path, resume=True, fast_forward_on_resume=True)
    resumed.load_or_resume()
    RandomStateHook.before_train(resumed.hooks[-1], resumed)
    next(resumed.train_loop.dataloader_iterator)
    drawn = get_random_state()

    set_random_state(state)
    samples = [resumed.train_dataloader.dataset[0] for _ in range(4)]
    assert len(samples) == 4
    assert str(get_random_state()) == str(drawn)
