"""A small study, run once."""

import json
import shutil

import numpy as np
import pytest


@pytest.fixture(scope='session')
def small_study():
    """Two rows with two seeds on a few scenes, and one of another length."""
    pytest.importorskip('mmseg')
    from sapa_mm.reproduction.study.studies import STUDIES, Study, StudyRow

    return Study(
        name='small',
        title='a small study',
        config=STUDIES['scenes'].config,
        iterations=8,
        rows=(
            StudyRow('Bilinear', (0, 1)),
            StudyRow('SAPA-D', (0, 1)),
            StudyRow('SAPA-D', (0,), 'four points', upsample_cfg=dict(num_points=4)),
        ),
        pictured='scene_50000001',
        generated=dict(num_train=8, num_val=4, size=(64, 64)),
    )


@pytest.fixture(scope='session')
def settings_in(tmp_path_factory):
    """How the small study is run in a folder of results."""
    from sapa_mm.reproduction.study.study_runs import StudySettings

    from ...support.configs import CONFIGS

    data = tmp_path_factory.mktemp('study') / 'scenes'

    def settings(out, **options):
        # Resumed in the middle.
        options = {'default_hooks.checkpoint.interval': 2, **options}
        return StudySettings(str(CONFIGS), str(out), str(data), cfg_options=options)

    return settings


@pytest.fixture(scope='session')
def finished(small_study, settings_in, tmp_path_factory):
    """The folder of a run of each of the first two rows, with seed 0."""
    from sapa_mm.reproduction.launcher import Launcher
    from sapa_mm.reproduction.study.study_runs import run_study

    out = tmp_path_factory.mktemp('results')
    rows = ['Bilinear', 'SAPA-D']
    assert not run_study([small_study], rows, [0], settings_in(out), Launcher(gpus=0))
    return out


@pytest.fixture
def results(finished, tmp_path):
    """A folder of the small files alone, as is committed; seed 1 is made up from seed 0."""
    out = tmp_path / 'results'
    shutil.copytree(finished / 'small', out / 'small')
    for path in sorted((out / 'small').glob('*_seed-0.json')):
        content = json.loads(path.read_text())
        content |= {'seed': 1, 'initial_weights': 64 * '1'}
        counts = np.array(content['test']['counts'])
        counts[:, :, 0] = counts[:, :, 0] * 9 // 10 + (path.name.startswith('sapa'))
        content['test']['counts'] = counts.tolist()
        path.with_name(path.name.replace('-0', '-1')).write_text(json.dumps(content))
    return out
