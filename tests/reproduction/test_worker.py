"""The checks among the processes of a run, and the reasons that they record."""

from unittest import mock

import pytest

pytest.importorskip('mmseg')

from mmengine.config import Config
from torch.distributed import DistError

from sapa_mm.reproduction import worker
from sapa_mm.reproduction.run_files import RunFiles

RESUMED = Config(dict(resume=True, load_from='/a/iter_3.pth'))


@pytest.fixture
def files(tmp_path):
    files = RunFiles(str(tmp_path))
    files.claim('a=1')
    return files


def test_processes_of_one_run(files, monkeypatch):
    monkeypatch.setattr(worker, 'all_gather_object', lambda own: [own, own])
    worker._check_same_run(files, RESUMED)


@pytest.mark.parametrize('other', [('another', 'iter_3.pth'), (None, 'the start')])
def test_processes_of_different_runs_or_moments(files, monkeypatch, other):
    settings, start = other
    monkeypatch.setattr(worker, 'all_gather_object', lambda own: [own, (settings or own[0], start)])
    with pytest.raises(ValueError, match=f'different settings or checkpoints: .*{start}'):
        worker._check_same_run(files, RESUMED)


def test_the_first_reason_is_kept(files, monkeypatch):
    """The other processes fail because the first one is gone."""
    monkeypatch.setattr('sys.argv', ['worker', files.work_dir])
    for text in ('cause', 'consequence'):

        def fail(*_, text=text):
            raise LookupError(text)

        monkeypatch.setattr(worker, '_train', fail)
        with pytest.raises(LookupError, match=text):
            worker.main()
    assert files.read_failure() == 'LookupError: cause'


@pytest.mark.parametrize(
    'lost', [RuntimeError('[/pytorch/third_party/gloo/pair.cc:537] reset by peer'), DistError('x')]
)
def test_a_lost_process_is_no_reason(files, monkeypatch, lost):
    """Why it was lost is known to what started it: the kernel killed it, for example."""
    monkeypatch.setattr('sys.argv', ['worker', files.work_dir])
    monkeypatch.setattr(worker, '_train', mock.Mock(side_effect=lost))
    with pytest.raises(RuntimeError):
        worker.main()
    assert files.read_failure() is None


def test_validations_of_a_resumed_run(files):
    """Those before its checkpoint are kept, and those after it are made again."""

    def validate(start, *iterations):
        hook = worker._ValidationsHook(files)
        hook.before_train(mock.Mock(iter=start, max_iters=50))
        for iteration in iterations:
            hook.after_val_epoch(mock.Mock(iter=iteration), dict(SAD=start + iteration))

    assert files.read_validations() == {}
    validate(0, 10, 20, 30)
    validate(20, 30, 40)
    assert files.read_validations() == {
        n: dict(SAD=s) for n, s in ((10, 10), (20, 20), (30, 50), (40, 60))
    }
    validate(0, 10)
    assert files.read_validations() == {10: dict(SAD=10)}
