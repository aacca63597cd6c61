"""The settings of a run, and runs that are refused because of them. Nothing is trained."""

import dataclasses

import pytest

pytest.importorskip('mmdet')
pytest.importorskip('mmseg')

from sapa_mm.reproduction.file_lock import LockTaken
from sapa_mm.reproduction.launcher import Launcher
from sapa_mm.reproduction.paper_tables import PAPER_TABLES
from sapa_mm.reproduction.run_files import OtherSettings, RunFiles
from sapa_mm.reproduction.table_runs import Scenes, TableSettings, list_runs
from sapa_mm.reproduction.train_all import train_all
from sapa_mm.reproduction.training_result import TrainingResult
from sapa_mm.reproduction.training_run import TrainingRun

from ..support.configs import CONFIGS

RESULT = TrainingResult({'mIoU': 1.0}, 1000, 0.5, 10**8, 'a CPU, 1 thread')


@pytest.fixture
def run_of(scenes, tmp_path, monkeypatch):
    """A row's run with a seed and options; it ends at once."""

    def start(run, *_):
        run.files.write_result(RESULT)
        return RESULT

    monkeypatch.setattr(TrainingRun, '_start', start)

    def make(seed, configs=CONFIGS, iterations=2, **options):
        small = Scenes(str(scenes[0]), iterations)
        settings = TableSettings(str(configs), str(tmp_path), small, cfg_options=options)
        (run,) = list_runs([PAPER_TABLES[3]], ['1'], [seed], settings)
        return run

    return make


def test_seeds_of_one_row_have_the_same_settings(run_of):
    run_of(0).train()
    other = run_of(1, **{'optim_wrapper.optimizer.lr': 0.5})
    with pytest.raises(OtherSettings, match=r'seed-0 has a run with other .*now: .*lr=0\.5'):
        other.train()
    assert other.state == 'not run'
    # Nor is the reason of an earlier attempt reported.
    other.files.write_failure('an old reason')
    assert ' has a run with other settings in it ' in train_all([other])[0]
    assert run_of(1).train() == RESULT
    assert run_of(0).files.is_small


def test_the_number_of_processes_is_kept(run_of):
    run_of(0).train()
    with pytest.raises(OtherSettings, match='processes=1; now: processes=2'):
        run_of(0).train(Launcher('pytorch', gpus=2))
    assert run_of(0).train(Launcher('pytorch')) == RESULT


def test_mixed_precision_on_the_gpus_of_other_machines(run_of, monkeypatch):
    """Slurm's login node may have none."""
    monkeypatch.setattr('sapa_mm.engine.training.get_device', lambda: 'cpu')
    run = dataclasses.replace(run_of(0), amp=True)
    with pytest.raises(ValueError, match='^amp needs an accelerator'):
        run.train()
    run.train(Launcher('slurm'))
    assert "type='AmpOptimWrapper'" in run.files.read_settings()


def test_one_image_a_process_is_right_for_synchronised_batch_norm(scenes, tmp_path, run_of):
    """UPerNet pools to 1 x 1; who starts the processes may have no GPU, and is one process."""
    options = {'train_dataloader.batch_size': 1, 'model.decode_head.norm_cfg.type': 'SyncBN'}
    small = Scenes(str(scenes[0]), 2)
    settings = TableSettings(str(CONFIGS), str(tmp_path), small, cfg_options=options)
    (run,) = list_runs([PAPER_TABLES[4]], ['1'], [0], settings)
    with pytest.raises(ValueError, match='^train_dataloader.batch_size is 1: batch norm '):
        run.train()
    assert run.train(Launcher('slurm', gpus=2)) == RESULT


def test_workers_that_are_left_of_a_call_hold_the_run(run_of):
    """As Slurm's do if srun was killed with its child."""
    run = run_of(0)
    with run.files.worker_lock():
        assert run.state == 'running'
        with pytest.raises(LockTaken, match='worker.lock'):
            run.train()
    assert run.train() == RESULT


def test_a_finished_row_stays_finished_without_its_config(run_of, tmp_path):
    run_of(0).train()
    lost = run_of(0, configs=tmp_path / 'no')
    assert lost.train() == RESULT
    assert lost.state == 'finished'
    assert lost.files.read_failure() is None
    with pytest.raises(FileNotFoundError):
        run_of(1, configs=tmp_path / 'no').train()


def test_files_of_a_large_model(tmp_path):
    files = RunFiles(str(tmp_path))
    assert not files.is_small
    files.claim('a = 1\nis_small=False\n')
    assert not files.is_small


def test_our_own_imports_are_no_settings(tmp_path):
    """Runs of an earlier version stay finished, or resume."""
    files = RunFiles(str(tmp_path))
    text = (
        "custom_imports=dict(\n    imports=[\n        'sapa_mm.evaluation',\n        {}\n    ])\n"
    )
    files.claim(text.format("'mine',"))
    files.compare(text.format("'sapa_mm.engine',\n        'mine',"))
    with pytest.raises(OtherSettings, match="'mine',; now: 'another',"):
        files.compare(text.format("'another',"))
