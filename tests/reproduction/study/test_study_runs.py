"""Runs of the study: same initial weights and batches, resumed, merged, refused."""

import hashlib
import json
import os
import shutil
import signal
import struct
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

pytest.importorskip('mmseg')

from mmengine.hooks import Hook
from PIL import Image

from sapa_mm.datasets import write_scenes
from sapa_mm.engine.checkpoint import read_checkpoint
from sapa_mm.engine.config import read_config
from sapa_mm.engine.training import build_trainer
from sapa_mm.reproduction.launcher import Launcher
from sapa_mm.reproduction.paper_tables import CONFIG_NAMES
from sapa_mm.reproduction.run_files import OtherSettings
from sapa_mm.reproduction.study.studies import COMPARED, STUDIES, Study, StudyRow
from sapa_mm.reproduction.study.study_results import StudyFolder, read_results
from sapa_mm.reproduction.study.study_runs import (
    StudySettings,
    describe_settings,
    hash_weights,
    list_states,
    list_study,
    make_initial_weights,
    run_study,
)
from sapa_mm.reproduction.train_all import list_commands
from sapa_mm.reproduction.training_result import TrainingResult
from sapa_mm.reproduction.training_run import _format
from sapa_mm.upsamplers import build_upsampler
from sapa_mm.utils.files import write_image

from ...support.configs import CONFIGS
from ...support.run_tool import finish


class Watch(Hook):
    """Keeps what a training starts from, its batches, and the generator before each step."""

    def __init__(self):
        self.weights, self.batches, self.states = None, [], []

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        if self.weights is None:
            self.weights = {k: v.clone() for k, v in runner.model.state_dict().items()}
        truths = [sample.gt_sem_seg.data for sample in data_batch['data_samples']]
        self.batches.append(torch.stack([*data_batch['inputs']]).int().flatten(1).sum(1).tolist())
        self.batches.append(torch.stack(truths).int().flatten(1).sum(1).tolist())
        self.states.append(torch.get_rng_state().tolist())


@pytest.fixture(scope='module')
def streets(tmp_path_factory):
    """CamVid's study on a few scenes, and their folder."""
    data = tmp_path_factory.mktemp('streets')
    write_scenes(data, num_train=2, num_val=2, size=(64, 64))
    options = {}
    for split, folder in (('train', 'training'), ('val', 'validation'), ('test', 'validation')):
        dataset = f'{split}_dataloader.dataset'
        options[f'{dataset}.reduce_zero_label'] = True
        for key, kind in (('img_path', 'images'), ('seg_map_path', 'annotations')):
            options[f'{dataset}.data_prefix.{key}'] = f'{kind}/{folder}'
    rows = (StudyRow('Bilinear', (0,)),)
    config = STUDIES['camvid'].config
    return Study('streets', 'streets', config, 4, rows, '', None, options), str(data)


def watch(run, **options):
    make_initial_weights(run, '')
    trainer = build_trainer(run._prepare(**options))
    hook = Watch()
    trainer.register_hook(hook)
    trainer.train()
    return hook


@pytest.mark.parametrize('upsampler', ['SAPA-D', 'DySample', 'Deconv'])
def test_same_weights_and_batches(small_study, settings_in, tmp_path, safe_loading, upsampler):
    """Whatever building the upsamplers drew; dropout draws the same, too."""
    study = STUDIES['scenes']
    short = {'train_cfg.max_iters': 3, 'train_cfg.val_interval': 9, 'randomness.seed': 3}
    short |= {'model.decode_head.dropout_ratio': 0.5, 'load_from': None}
    settings = settings_in(tmp_path)
    root = settings.folder(small_study)
    write_scenes(root, **small_study.generated)
    seen = {}
    for row in (r for r in study.rows if r.title in ('Bilinear', upsampler)):
        run = next(r for r in list_study([study], [row.title], [0], settings))
        short['load_from'] = run.initial_weights
        seen[row.title] = watch(run, **short)
    base, other = seen['Bilinear'], seen[upsampler]
    shared = [name for name in other.weights if '.upsamplers.' not in name]
    assert shared == list(base.weights)
    assert len(shared) < len(other.weights)
    for name in shared:
        assert torch.equal(base.weights[name], other.weights[name]), name
    assert base.batches == other.batches
    assert base.states == other.states
    assert base.batches[0] != base.batches[2]


def test_initial_weights_of_seeds(small_study, settings_in, tmp_path):
    runs = list_study([small_study], ['Bilinear'], None, settings_in(tmp_path))
    hashes = []
    for run in runs:
        make_initial_weights(run, 'settings')
        hashes.append(hash_weights(run.initial_weights))
        written = os.stat(run.initial_weights).st_ino
        make_initial_weights(run, 'settings')
        assert os.stat(run.initial_weights).st_ino == written
        # Those of other settings, such as other weights of the backbone, are not taken.
        make_initial_weights(run, 'other settings')
        assert os.stat(run.initial_weights).st_ino != written
        assert hash_weights(run.initial_weights) == hashes[-1]
    assert len(set(hashes)) == 2


def test_results(small_study, finished):
    record = read_results([str(finished)], small_study, str(CONFIGS))
    bilinear, sapa_d = record.results.values()
    assert list(bilinear) == list(sapa_d) == [0]
    ours, theirs = sapa_d[0], bilinear[0]
    assert ours.initial_weights == theirs.initial_weights
    assert list(ours.validations) == [2, 4, 6, 8]
    assert ours.validations[8] == ours.training.metrics
    # The test set of the scenes is their validation set.
    assert ours.test.mean('IoU') == pytest.approx(ours.training.metrics['mIoU'], abs=0.006)
    assert ours.test.mean('bIoU') == pytest.approx(ours.training.metrics['bIoU'])
    assert ours.settings['upsample_cfg']['num_points'] == 9
    assert ours.settings['iterations'] == theirs.settings['iterations'] == 8
    assert 'train, images: 8 .jpg' in record.settings
    assert str(finished) not in record.settings
    assert sorted(path.name for path in (finished / 'small').iterdir()) == [
        'bilinear_seed-0.json',
        'bilinear_seed-0.png',
        'sapa-d_seed-0.json',
        'sapa-d_seed-0.png',
        'settings.txt',
    ]


def test_finished_runs_need_the_small_files_alone(small_study, results, settings_in):
    """As on a machine that has no more than what is committed."""
    settings = settings_in(results)
    assert not run_study([small_study], ['Bilinear'], None, settings, Launcher(gpus=0))
    assert not (results / 'work_dirs').exists()
    runs = list_study([small_study], [], None, settings)
    assert [line.split()[-1] for line in list_states(runs).splitlines()] == [
        *['finished', 'finished', 'run'],
        *['finished', 'finished'],
    ]
    assert list_commands(runs, ['study', 'run'], ['--out', 'a b']) == [
        "study run --study small --rows 'SAPA-D, four points' --seeds 0 --out 'a b'"
    ]


@pytest.mark.extended
def test_a_run_that_is_killed_ends_as_one_that_was_not(
    small_study, finished, settings_in, tmp_path
):
    run = list_study([small_study], ['SAPA-D'], [0], settings_in(tmp_path))[0]
    whole = finished / 'work_dirs/small/sapa-d_seed-0'
    command = [sys.executable, '-m', 'sapa_mm.reproduction.worker', run.work_dir]
    # With the initial weights of the other folder.
    settings = (whole / 'settings/config.py').read_text()
    kill = dict(type='tests.support.tiny_run.Kill', at=5)
    run.files.claim(f'{settings}\ncustom_hooks.append({kill})\n')
    finish(command, code=-signal.SIGKILL)
    assert run.files.read_result() is None
    Path(run.files.settings).write_text(settings)
    finish(command)
    assert 'resumed epoch: 0, iter: 4' in ''.join(
        path.read_text() for path in tmp_path.rglob('*.log')
    )
    kept = StudyFolder(str(finished), small_study).read(run.row, 0)
    assert run.files.read_test() == kept.test.to_json()
    assert run.files.read_validations() == kept.validations
    weights = [
        read_checkpoint(os.path.join(place, 'iter_8.pth'))['state_dict']
        for place in (run.work_dir, whole)
    ]
    for name, value in weights[0].items():
        assert torch.equal(value, weights[1][name]), name


@pytest.mark.extended
def test_a_validation_that_was_cut_off_is_made_up_for(small_study, finished, tmp_path):
    """A checkpoint is saved before the validation after the same iteration."""
    run = tmp_path / 'run'
    shutil.copytree(finished / 'work_dirs/small/sapa-d_seed-0', run)
    for name in ('result.json', 'test.json', 'iter_8.pth'):
        os.remove(run / name)
    (run / 'last_checkpoint').write_text(str(run / 'iter_6.pth'))
    whole = json.loads((run / 'validations.json').read_text())
    (run / 'validations.json').write_text(json.dumps({at: whole[at] for at in ('2', '4')}))
    command = [sys.executable, '-m', 'sapa_mm.reproduction.worker', str(run)]
    finish(command)
    assert json.loads((run / 'validations.json').read_text()) == whole
    counts = StudyFolder(str(finished), small_study).read(small_study.rows[1], 0).test.to_json()
    assert json.loads((run / 'test.json').read_text()) == counts


def test_folders_of_two_machines(small_study, results, tmp_path):
    """Each has some of the runs; a run that both have counts once."""
    whole = read_results([str(results)], small_study, str(CONFIGS))
    for name, moved in (('a', ['bilinear_seed-0', 'sapa-d_seed-0']), ('b', ['sapa-d_seed-1'])):
        (tmp_path / name / 'small').mkdir(parents=True)
        for run in [*moved, 'bilinear_seed-1']:
            shutil.copy(results / 'small' / f'{run}.json', tmp_path / name / 'small')
        shutil.copy(results / 'small/settings.txt', tmp_path / name / 'small')
    (tmp_path / 'none').mkdir()
    folders = [str(tmp_path / name) for name in ('a', 'b', 'none')]
    merged = read_results(folders, small_study, str(CONFIGS))
    assert merged.settings == whole.settings
    assert merged.results.keys() == whole.results.keys()
    for row, by_seed in whole.results.items():
        assert {s: r.to_json() for s, r in merged.results[row].items()} == {
            s: r.to_json() for s, r in by_seed.items()
        }


class TestBadInput:
    def test_another_row_of_the_same_name(self, small_study, results, settings_in):
        """As where a published config has changed since."""
        path = results / 'small/sapa-d_seed-0.json'
        path.write_text(path.read_text().replace('"num_points": 9', '"num_points": 4'))
        message = (
            r"^out: .*sapa-d_seed-[01].json: runs of one row have upsample_cfg {.*'num_points'"
        )
        with pytest.raises(OtherSettings, match=message):
            read_results([str(results)], small_study, str(CONFIGS))
        with pytest.raises(OtherSettings, match=message):
            run_study([small_study], ['SAPA-D'], [0], settings_in(results), Launcher(gpus=0))

    def test_weights_that_another_machine_makes(self, small_study, results, settings_in):
        path = results / 'small/bilinear_seed-0.json'
        content = json.loads(path.read_text())
        path.write_text(json.dumps({**content, 'initial_weights': 64 * 'f'}))
        os.remove(results / 'small/sapa-d_seed-0.json')
        with pytest.raises(OtherSettings, match=r'bilinear_seed-0.json starts from other weights'):
            run_study([small_study], ['SAPA-D'], [0], settings_in(results), Launcher(gpus=0))

    def test_other_data_under_the_same_path(self, small_study, settings_in, tmp_path):
        """Of a finished run, even if the small files, which tell so first, are gone."""
        root = tmp_path / 'scenes'
        shutil.copytree(settings_in('').folder(small_study), root)
        study = replace(small_study, rows=small_study.rows[:1])
        settings = replace(settings_in(tmp_path / 'out'), data_root=str(root))
        run = list_study([study], [], [0], settings)[0]
        make_initial_weights(run, describe_settings(study, settings))
        run.files.claim(_format(run._settings(Launcher(gpus=0))))
        run.files.write_result(TrainingResult({}, 1, 0.5, 10, 'cpu'))
        label_map = next((root / 'annotations/training').iterdir())
        write_image(label_map, 1 - np.asarray(Image.open(label_map)) % 2)
        (failure,) = run_study([study], [], [0], settings, Launcher(gpus=0))
        assert 'has a run with other settings in it' in failure
        assert 'made_of' in failure

    @pytest.mark.parametrize('name', ['bilinear_seed-1', 'sapa-d_seed-0'])
    def test_a_copied_result(self, small_study, results, name):
        shutil.copy(results / 'small/sapa-d_seed-1.json', results / f'small/{name}.json')
        message = f'^out: .*{name}.json has the result of SAPA-D, 1'
        with pytest.raises(ValueError, match=message):
            read_results([str(results)], small_study, str(CONFIGS))

    def test_results_without_settings(self, small_study, results):
        (results / 'small/settings.txt').unlink()
        with pytest.raises(ValueError, match='^out: .*small has results, but no settings.txt'):
            read_results([str(results)], small_study, str(CONFIGS))

    def test_processes(self, small_study, settings_in, tmp_path):
        launcher = Launcher('pytorch', processes=2)
        with pytest.raises(ValueError, match='^processes must be 1 in a study, got 2'):
            run_study([small_study], [], None, settings_in(tmp_path), launcher)

    def test_other_settings(self, small_study, results, settings_in):
        """Refused before anything is trained, with what differs."""
        options = {'optim_wrapper.optimizer.lr': 0.5}
        with pytest.raises(
            OtherSettings,
            match=r'^out: .*small has results of other settings \(optim_wrapper.optimizer.lr = '
            r'0\.002; asked for: optim_wrapper.optimizer.lr = 0\.5\); choose another folder',
        ):
            run_study([small_study], [], None, settings_in(results, **options), Launcher(gpus=0))

    def test_other_data(self, small_study, results, settings_in, tmp_path):
        write_scenes(tmp_path, **{**small_study.generated, 'num_train': 9})
        settings = StudySettings(
            str(CONFIGS), str(results), str(tmp_path), None, None, settings_in('').cfg_options
        )
        with pytest.raises(
            ValueError, match='^data_root: .* has scenes of num_train 9, 8 are needed'
        ):
            run_study([small_study], [], None, settings, Launcher(gpus=0))

    def test_folders_of_other_settings(self, small_study, results, tmp_path):
        shutil.copytree(results / 'small', tmp_path / 'small')
        path = tmp_path / 'small/settings.txt'
        path.write_text(path.read_text().replace('batch_size = 8', 'batch_size = 4', 1))
        with pytest.raises(OtherSettings, match=r'batch_size = 8; in .*small: .*batch_size = 4\)'):
            read_results([str(results), str(tmp_path)], small_study, str(CONFIGS))

    def test_other_initial_weights(self, small_study, results, tmp_path):
        shutil.copytree(results / 'small', tmp_path / 'small')
        path = tmp_path / 'small/sapa-d_seed-1.json'
        content = json.loads(path.read_text())
        path.write_text(json.dumps({**content, 'initial_weights': 'f' * 64}))
        with pytest.raises(OtherSettings, match=r'start from other weights \(f{12} and .{12}\)'):
            read_results([str(tmp_path)], small_study, str(CONFIGS))

    @pytest.mark.parametrize('text', ['{}', '{"seed": 0}', 'nothing', '[]'])
    def test_damaged_results(self, small_study, results, tmp_path, text):
        shutil.copytree(results / 'small', tmp_path / 'small')
        (tmp_path / 'small/sapa-d_seed-1.json').write_text(text)
        with pytest.raises(ValueError, match='^out: .*sapa-d_seed-1.json is no'):
            read_results([str(tmp_path)], small_study, str(CONFIGS))

    def test_weights(self, streets, tmp_path):
        """Refused before anything is kept of them, so that others can be given next."""
        study, data = streets
        settings = StudySettings(str(CONFIGS), str(tmp_path / 'out'), data, weights='none.pth')
        with pytest.raises(FileNotFoundError, match='^weights: none.pth does not exist'):
            run_study([study], [], None, settings, Launcher(gpus=0))
        path = str(tmp_path / 'prefixed.pth')
        torch.save({'backbone.conv1.conv.weight': torch.zeros(32, 3, 3, 3)}, path)
        settings = StudySettings(str(CONFIGS), str(tmp_path / 'out'), data, weights=path)
        with pytest.raises(ValueError, match="its names have the prefix 'backbone.'"):
            run_study([study], [], None, settings, Launcher(gpus=0))
        assert StudyFolder(settings.out, study).settings is None

    def test_data(self, streets, tmp_path):
        """Those to test on, too, which are read after an hour."""
        study, data = streets
        study = replace(
            study,
            cfg_options={
                **study.cfg_options,
                'test_dataloader.dataset.data_prefix.img_path': 'images/test',
            },
        )
        settings = StudySettings(str(CONFIGS), str(tmp_path / 'out'), data)
        with pytest.raises(ValueError, match='^test_dataloader.dataset.data_prefix.img_path: no'):
            run_study([study], [], None, settings, Launcher(gpus=0))

    def test_arguments(self, small_study, settings_in, finished, tmp_path):
        settings = settings_in('out')
        with pytest.raises(ValueError, match='^rows: there is no row FADE, allowed are Bilinear; '):
            list_study([small_study], ['FADE'], None, settings)
        with pytest.raises(ValueError, match='^seeds: the rows have no seed 7, 9'):
            list_study([small_study], [], [0, 9, 7], settings)
        path = str(tmp_path / 'weights.pth')
        torch.save({'conv1.conv.weight': torch.zeros(1)}, path)
        with pytest.raises(ValueError, match='^weights: no study starts from any, of small'):
            list_study([small_study], [], None, replace(settings, weights=path))
        with pytest.raises(FileNotFoundError, match='^weights: /nowhere does not exist'):
            list_study([small_study], [], None, replace(settings, weights='/nowhere'))
        with pytest.raises(NotADirectoryError, match='^out: .*weights.pth/small is not a folder'):
            list_study([small_study], [], None, replace(settings, out=path))
        with pytest.raises(OtherSettings, match='asked for: .*= 4'):
            list_study([small_study], [], None, replace(settings_in(finished), iterations=4))
        with pytest.raises(ValueError, match='^iterations must be a multiple of 4, .*, got 10'):
            StudySettings('configs', 'out', iterations=10)
        with pytest.raises(ValueError, match='^data_root takes the data of one study, got'):
            run_study([*STUDIES.values()], [], None, settings, Launcher(gpus=0))


def packed(*numbers):
    """Numbers as float32, byte by byte."""
    return (struct.pack('<f', number) for number in numbers)


def test_downloaded_weights_are_named(streets, tmp_path):
    study, data = streets
    text = describe_settings(study, StudySettings(str(CONFIGS), str(tmp_path), data))
    assert '# model.backbone.init_cfg.checkpoint: mmcls://mobilenet_v2\n' in text
    path = tmp_path / 'weights.pth'
    tensor = torch.arange(3, dtype=torch.float32)
    torch.save({'b': tensor, 'a': tensor + 1}, path)
    digest = hashlib.sha256(b''.join((b'a', *packed(1, 2, 3), b'b', *packed(0, 1, 2)))).hexdigest()
    settings = StudySettings(str(CONFIGS), str(tmp_path), data, weights=str(path))
    text = describe_settings(study, settings)
    assert f'# model.backbone.init_cfg.checkpoint: SHA-256 of tensors {digest}\n' in text
    assert str(tmp_path) not in text


def test_rows():
    """Each has a published config; the compared ones come first, with several seeds."""
    for study in STUDIES.values():
        titles = [row.title for row in study.rows]
        assert len(set(titles)) == len({row.name for row in study.rows}) == len(titles)
        if study.name != 'why':
            assert titles[: len(COMPARED)] == [*COMPARED]
        for row in study.rows:
            assert row.upsampler in CONFIG_NAMES
            assert (CONFIGS / row.published_config).is_file()
            is_compared = study.name != 'why' and row.title in COMPARED
            assert (len(row.seeds) > 1) == is_compared


def test_trials():
    """As many for each upsampler, all of options that it has."""
    rows = STUDIES['why'].rows
    counts = Counter(row.upsampler for row in rows)
    assert counts == {'Bilinear': 2, 'SAPA-D': 10, 'SAPA-B': 10, 'CARAFE': 10}
    for row in rows:
        cfg = read_config(str(CONFIGS / row.published_config)).model.decode_head.upsample_cfg
        build_upsampler({**cfg, **row.upsample_cfg}, 64, 64)
        assert row.upsample_cfg == {} or {**cfg, **row.upsample_cfg} != cfg
