"""The checks among the processes of a run, and the reasons that they record."""

import pytest

pytest.importorskip('mmseg')

from mmengine.config import Config

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
