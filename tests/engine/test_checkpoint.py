"""mmengine's checkpoints load; damaged and unsafe ones are refused with a reason."""

import os
import subprocess
import sys
import tarfile
import zipfile

import numpy as np
import pytest
import torch
from mmengine.config import Config, ConfigDict
from mmengine.config.lazy import LazyAttr, LazyObject
from mmengine.runner import CheckpointLoader, load_checkpoint
from torch import nn

from sapa_mm.engine import (
    CheckpointError,
    find_resumable,
    install_safe_loading,
    read_checkpoint,
)
from sapa_mm.engine.resume import resumed_seed, set_damaged_aside
from sapa_mm.engine.training import _set_resume as set_resume

from ..support.run_tool import environment
from ..support.tiny_run import build_runner


@pytest.fixture(scope='module')
def work_dir(tmp_path_factory):
    work_dir = tmp_path_factory.mktemp('run')
    build_runner(work_dir, max_iters=6).train()
    return work_dir


@pytest.fixture
def run(work_dir, tmp_path):
    """A copy of a run with iter_3.pth, iter_6.pth and a best checkpoint."""
    for path in work_dir.glob('*.pth'):
        os.link(path, tmp_path / path.name)
        os.utime(tmp_path / path.name, (0, int('6' in path.name)))
    (tmp_path / 'last_checkpoint').write_text(str(tmp_path / 'iter_6.pth'))
    return tmp_path


class Evil:
    """Writes a file when it is unpickled."""

    def __init__(self, marker):
        self.marker = marker

    def __reduce__(self):
        return os.mkdir, (str(self.marker),)


class ByName:
    """Pickles as ``getattr(owner, name)``."""

    def __init__(self, owner, name):
        self.owner, self.name = owner, name

    def __reduce__(self):
        return getattr, (self.owner, self.name)


NESTED = ConfigDict(
    lens={'name': 'a', 'kinds': [{'f': 1.5}, (1, {'g': None})]},
    model=LazyAttr('Linear', LazyObject('torch', 'nn')),
    module=LazyObject(['torch.nn', 'torch.optim']),
)


def test_nested_settings_load_as_plain_data(tmp_path):
    """As mmengine writes them, in metainfo for example."""
    torch.save({'meta': {'dataset_meta': {'source': NESTED, 'all': [NESTED.lens]}}}, tmp_path / 'a')
    source = read_checkpoint(str(tmp_path / 'a'))['meta']['dataset_meta']['source']
    assert repr(source) == repr(
        {
            'lens': {'name': 'a', 'kinds': [{'f': 1.5}, (1, {'g': None})]},
            'model': 'torch.nn.Linear',
            'module': 'torch.nn',
        }
    )


@pytest.mark.parametrize('state', [{'_module': []}, {'_module': {}}, {'source': LazyObject('a')}])
def test_names_of_settings_that_are_none(tmp_path, state):
    hostile = LazyObject('a')
    vars(hostile).update(state)
    if 'source' in state:
        vars(state['source'])['source'] = hostile  # a cycle
    torch.save([hostile], tmp_path / 'a.pth')
    with pytest.raises(CheckpointError, match=r'a.pth cannot be loaded'):
        read_checkpoint(str(tmp_path / 'a.pth'))


def truncated(path, tmp_path):
    data = path.read_bytes()
    half = tmp_path / 'half.pth'
    half.write_bytes(data[: len(data) // 2])
    return half


@pytest.mark.usefixtures('safe_loading')
@pytest.mark.parametrize('name', ['iter_6.pth', 'best_tiny_calls_iter_6.pth'])
def test_own_checkpoint_loads(work_dir, name):
    allowed = set(torch.serialization.get_safe_globals())
    checkpoint = CheckpointLoader.load_checkpoint(str(work_dir / name), map_location='cpu')
    assert checkpoint['message_hub']['runtime_info']['best_score'] == 2
    assert checkpoint['message_hub']['log_scalars']['train/loss'].current() > 0
    assert set(torch.serialization.get_safe_globals()) == allowed


@pytest.mark.parametrize('protocol', [2, 4])
def test_numbers_of_numpy_load(tmp_path, protocol):
    saved = {code: np.ones(2, code) for code in '?bhilqBHILQefd'}
    torch.save(saved | {'scalar': np.float32(0.5)}, tmp_path / 'numbers.pth')
    loaded = read_checkpoint(str(tmp_path / 'numbers.pth'))
    assert loaded['scalar'] == np.float32(0.5)
    for code, array in saved.items():
        np.testing.assert_array_equal(loaded[code], array, strict=True)


class Reduced:
    """Pickles as what is given, like the result of ``__reduce__``."""

    def __init__(self, *reduced):
        self.reduced = reduced

    def __reduce__(self):
        return self.reduced


REBUILD_ARRAY, REBUILD_SCALAR = np.empty(0).__reduce__()[0], np.float64(0).__reduce__()[0]
EMPTY = (np.ndarray, (0,), b'b')


def dtype_with(subarray=None, fields=None):
    """A pickled dtype of 8 bytes that states something else."""
    state = (3, '<', subarray, fields and tuple(fields), fields, -1, -1, 1)
    return Reduced(np.dtype, ('f8', False, True), state)


@pytest.mark.parametrize(
    'hostile',
    [
        # Reads 800 MB past the end of its 8 bytes.
        Reduced(np.ndarray, ((1,), dtype_with((np.dtype('f8'), (10**8,))), bytes(8))),
        Reduced(
            REBUILD_ARRAY, EMPTY, (1, (1,), dtype_with((np.dtype('f8'), (9,))), False, bytes(8))
        ),
        Reduced(REBUILD_SCALAR, (dtype_with((np.dtype('f8'), (9,))), bytes(8))),
        # Addresses of objects.
        Reduced(np.ndarray, ((1,), 'O', b'A' * 8)),
        Reduced(np.ndarray, ((1,), [('a', 'O')], b'A' * 8)),
        Reduced(REBUILD_ARRAY, EMPTY, (1, (1,), np.dtype('O'), False, b'A' * 8)),
        Reduced(REBUILD_SCALAR, (np.dtype([('a', 'O')]), b'A' * 8)),
        Reduced(
            REBUILD_ARRAY, EMPTY, (1, (1,), dtype_with(None, {'a': ('O', 0)}), False, b'A' * 8)
        ),
        # Fewer bytes than elements.
        Reduced(REBUILD_ARRAY, EMPTY, (1, (2**32, 2**32), np.dtype('f8'), False, b'')),
        Reduced(REBUILD_ARRAY, EMPTY, (1, (-1, -1), np.dtype('f8'), False, bytes(8))),
        Reduced(REBUILD_SCALAR, (np.dtype('f8'), b'')),
    ],
)
def test_no_memory_that_is_not_the_file_s(tmp_path, hostile):
    torch.save({'a': hostile}, tmp_path / 'a.pth')
    loaded = None
    with pytest.raises(CheckpointError, match=r'a.pth (is refused|cannot be loaded|is damaged)'):
        loaded = read_checkpoint(str(tmp_path / 'a.pth'))
    assert loaded is None


def test_what_numpy_wrote_is_numpy_s(tmp_path):
    array, scalar = np.arange(6, dtype='>f4').reshape(2, 3), np.float16(0.5)
    cycle = [array, (array, {'b': array.T}), np.dtype('>i2')]
    cycle.append(cycle)
    torch.save({'list': cycle, 'scalar': scalar, 'size': torch.Size([1])}, tmp_path / 'a.pth')
    loaded = read_checkpoint(str(tmp_path / 'a.pth'))
    first, (second, nested), dtype, again = loaded['list']
    for got, expected in ((first, array), (second, array), (nested['b'], array.T)):
        assert type(got) is np.ndarray
        np.testing.assert_array_equal(got, expected)
    assert dtype == np.dtype('>i2')
    assert again is loaded['list']
    assert isinstance(loaded['scalar'], np.float16)
    assert isinstance(loaded['size'], torch.Size)
    torch.save(loaded, tmp_path / 'again.pth')
    assert read_checkpoint(str(tmp_path / 'again.pth'))['list'][0].tolist() == array.tolist()


def test_files_of_two_kinds(tmp_path):
    """Pickled code before, or in, an archive of another kind."""
    marker, path = tmp_path / 'marker', tmp_path / 'evil.pth'
    torch.save(Evil(marker), path, _use_new_zipfile_serialization=False)
    with zipfile.ZipFile(path, 'a') as file:
        file.writestr('archive/data.pkl', b'N.')
    with tarfile.open(tmp_path / 'tar.pth', 'w') as file:
        file.add(path, 'pickle')
    torch.jit.script(nn.ReLU()).save(str(tmp_path / 'script.pth'))
    for name in ('evil', 'tar', 'script'):
        for mmap in (False, True):
            with pytest.raises(CheckpointError, match=f'{name}.pth (is|cannot be) '):
                read_checkpoint(str(tmp_path / f'{name}.pth'), mmap=mmap)
    assert not marker.exists()


@pytest.mark.parametrize('core', [b'numpy.core', b'numpy._core'])
def test_either_numpy_s_names_load(tmp_path, core):
    torch.save(np.arange(3.0), tmp_path / 'old.pth', _use_new_zipfile_serialization=False)
    data = (tmp_path / 'old.pth').read_bytes()
    assert b'numpy._core' in data or b'numpy.core' in data
    data = data.replace(b'numpy._core', b'numpy.core').replace(b'numpy.core', core)
    (tmp_path / 'old.pth').write_bytes(data)
    assert read_checkpoint(str(tmp_path / 'old.pth')).tolist() == [0, 1, 2]


@pytest.mark.usefixtures('safe_loading')
@pytest.mark.parametrize('zipped', [True, False])
def test_foreign_code_is_refused_unless_trusted(tmp_path, monkeypatch, zipped):
    path, marker = tmp_path / 'evil.pth', tmp_path / 'marker'
    torch.save(
        {'state_dict': {}, 'evil': Evil(marker)}, path, _use_new_zipfile_serialization=zipped
    )
    with pytest.raises(CheckpointError, match=r'evil.pth is refused.*mkdir.*TRUST_CHECKPOINTS=1'):
        load_checkpoint(nn.Linear(1, 1), str(path))
    assert not marker.exists()

    monkeypatch.setenv('SAPA_MM_TRUST_CHECKPOINTS', '1')
    load_checkpoint(nn.Linear(1, 1), str(path))
    assert marker.exists()


@pytest.mark.parametrize(
    ('owner', 'name'), [(np.ndarray, 'tofile'), (torch.Tensor, '__subclasses__')]
)
def test_getattr_leads_nowhere(tmp_path, owner, name):
    torch.save(ByName(owner, name), tmp_path / 'a.pth')
    with pytest.raises(CheckpointError, match=r'a.pth is refused.*getattr'):
        read_checkpoint(str(tmp_path / 'a.pth'))


@pytest.mark.usefixtures('safe_loading')
@pytest.mark.parametrize('trusted', [True, False])
def test_downloads_are_guarded_too(tmp_path, monkeypatch, trusted):
    marker = tmp_path / 'marker'
    cache = tmp_path / 'hub' / 'checkpoints'
    cache.mkdir(parents=True)
    torch.save({'weight': torch.ones(1)}, cache / 'good.pth')
    torch.save({'evil': Evil(marker)}, cache / 'evil.pth')
    monkeypatch.setattr(torch.hub, '_hub_dir', str(tmp_path / 'hub'))
    if trusted:
        monkeypatch.setenv('SAPA_MM_TRUST_CHECKPOINTS', '1')

    good = CheckpointLoader.load_checkpoint('https://nowhere.invalid/good.pth', 'cpu')
    assert good['weight'] == 1
    if trusted:
        CheckpointLoader.load_checkpoint('https://nowhere.invalid/evil.pth')
    else:
        with pytest.raises(CheckpointError, match=r'evil.pth is refused.*mkdir'):
            CheckpointLoader.load_checkpoint('https://nowhere.invalid/evil.pth')
    assert marker.exists() == trusted
    assert 'TORCH_FORCE_WEIGHTS_ONLY_LOAD' not in os.environ


@pytest.mark.usefixtures('safe_loading')
def test_failed_download_names_the_address():
    with pytest.raises(CheckpointError, match=r'https://nowhere.invalid/a.pth cannot be loaded'):
        CheckpointLoader.load_checkpoint('https://nowhere.invalid/a.pth')


@pytest.mark.usefixtures('safe_loading')
@pytest.mark.parametrize('trusted', [True, False])
def test_resuming_runs_no_config_from_the_file(work_dir, tmp_path, monkeypatch, trusted):
    marker = tmp_path / 'marker'
    content = read_checkpoint(str(work_dir / 'iter_6.pth'))
    for key in ('config', 'cfg'):
        content['meta'][key] = f"a = __import__('os').mkdir({str(marker)!r})"
    torch.save(content, tmp_path / 'evil.pth')
    if trusted:
        monkeypatch.setenv('SAPA_MM_TRUST_CHECKPOINTS', '1')
    path = str(tmp_path / 'evil.pth')
    build_runner(tmp_path / 'run', resume=True, load_from=path, max_iters=7).train()
    assert marker.exists() == trusted


def test_damaged_files_are_explained(work_dir, tmp_path):
    half = truncated(work_dir / 'iter_6.pth', tmp_path)
    with pytest.raises(CheckpointError, match=r'half.pth is truncated'):
        read_checkpoint(str(half))
    (tmp_path / 'empty.pth').touch()
    with pytest.raises(CheckpointError, match=r'empty.pth is empty'):
        read_checkpoint(str(tmp_path / 'empty.pth'))
    (tmp_path / 'text.pth').write_text('hello, this is no checkpoint')
    with pytest.raises(CheckpointError, match=r'text.pth (is damaged|cannot be loaded)'):
        read_checkpoint(str(tmp_path / 'text.pth'))
    with pytest.raises(CheckpointError, match='is a directory'):
        read_checkpoint(str(tmp_path))
    with pytest.raises(FileNotFoundError, match=r'resume: .*missing.pth does not exist'):
        read_checkpoint(str(tmp_path / 'missing.pth'), name='resume')


@pytest.mark.usefixtures('own_loaders')
def test_safe_loading_can_be_installed_twice():
    install_safe_loading()
    first = dict(CheckpointLoader._schemes)
    install_safe_loading()
    assert dict(CheckpointLoader._schemes) == first


def test_one_import_makes_loading_safe(work_dir, tmp_path):
    """As a config's ``custom_imports`` does, with the hosts' own tools."""
    marker = tmp_path / 'marker'
    torch.save({'state_dict': {}, 'evil': Evil(marker)}, tmp_path / 'evil.pth')
    code = (
        'import sys, sapa_mm.engine.safe_loading\n'
        'from mmengine.runner import CheckpointLoader\n'
        'assert not {"mmseg", "mmdet"} & set(sys.modules)\n'
        f'CheckpointLoader.load_checkpoint({str(work_dir / "iter_6.pth")!r}, logger=None)\n'
        f'CheckpointLoader.load_checkpoint({str(tmp_path / "evil.pth")!r}, logger=None)\n'
    )
    result = subprocess.run(
        [sys.executable, '-c', code], capture_output=True, text=True, env=environment()
    )
    assert 'evil.pth is refused' in result.stderr
    assert not marker.exists()


def test_resumes_from_the_latest(run):
    assert find_resumable(str(run)) == str(run / 'iter_6.pth')
    assert resumed_seed(str(run / 'iter_6.pth')) == 3


def test_resumes_from_the_one_before_a_truncated_one(run, monkeypatch):
    warnings = []
    monkeypatch.setattr('sapa_mm.utils.log._log', lambda text, _: warnings.append(text))
    truncated(run / 'iter_6.pth', run).replace(run / 'iter_6.pth')
    assert find_resumable(str(run)) == str(run / 'iter_3.pth')
    # The best checkpoint of that iteration is complete, but has only weights.
    assert 'iter_6.pth is truncated' in warnings[0]
    assert warnings[1:] == [f'Resuming from {run}/iter_3.pth, iteration 3']


@pytest.mark.parametrize('pointer', ['gone/iter_9.pth', ''])
def test_resumes_although_the_pointer_leads_nowhere(run, pointer):
    (run / 'last_checkpoint').write_text(pointer)
    assert find_resumable(str(run)) == str(run / 'iter_6.pth')


def saved_as(run, name, time=None, **meta):
    """A copy of iter_6.pth with another name, and other values in its meta."""
    content = read_checkpoint(str(run / 'iter_6.pth'))
    content['meta'].update(meta, **({'time': time} if time else {}))
    torch.save(content, run / name)
    return str(run / name)


def test_resumes_in_a_copy_from_its_own(run, tmp_path_factory):
    """Whatever last_checkpoint names, and whichever file was written last."""
    copy = tmp_path_factory.mktemp('a copy [1]')
    os.link(run / 'iter_3.pth', copy / 'iter_3.pth')
    (copy / 'last_checkpoint').write_text(str(run / 'iter_6.pth'))
    assert find_resumable(str(copy)) == str(copy / 'iter_3.pth')
    os.link(run / 'iter_6.pth', copy / 'iter_6.pth')
    os.utime(run / 'iter_3.pth', (9e9, 9e9))
    assert find_resumable(str(copy)) == str(copy / 'iter_6.pth')
    (copy / 'last_checkpoint').unlink()
    assert find_resumable(str(copy)) == str(copy / 'iter_6.pth')


@pytest.mark.parametrize('name', ['epoch_1.pth', 'iter_100.pth', 'best_a_iter_9.pth', 'mine.pth'])
def test_resumes_by_iteration_not_by_name(run, name):
    assert find_resumable(str(run)) == str(run / 'iter_6.pth')
    later = saved_as(run, name, iter=7)
    assert find_resumable(str(run)) == later


def test_resumes_from_what_was_saved_without_a_pointer(run):
    """A run that was killed between the checkpoint and the file that names it."""
    (run / 'last_checkpoint').write_text(str(run / 'iter_3.pth'))
    assert find_resumable(str(run)) == str(run / 'iter_6.pth')


def test_resumes_the_run_that_replaced_a_longer_one(run, monkeypatch):
    lines = []
    monkeypatch.setattr('sapa_mm.utils.log._log', lambda text, _: lines.append(text))
    saved_as(run, 'iter_80000.pth', '20200101_000000', iter=80000)
    assert find_resumable(str(run)) == str(run / 'iter_6.pth')
    assert lines == [
        f'Not resuming: {run}/iter_80000.pth has more iterations than {run}/iter_6.pth, '
        'but was saved before it',
        f'Resuming from {run}/iter_6.pth, iteration 6',
    ]


def test_resumes_from_the_folder_of_the_checkpoint_hook(run, tmp_path_factory):
    """Its name is that of the work directory."""
    work_dir = tmp_path_factory.mktemp('work')
    (work_dir / 'last_checkpoint').write_text(str(run / 'iter_6.pth'))
    hooks = {'checkpoint': {'type': 'CheckpointHook', 'out_dir': str(run.parent)}}
    cfg = Config({'work_dir': str(work_dir.parent / run.name), 'default_hooks': hooks})
    set_resume(cfg, 'auto')
    assert cfg.load_from == str(run / 'iter_6.pth')


def test_resume_in_a_config_may_name_a_file(run):
    cfg = Config({'work_dir': str(run), 'resume': str(run / 'iter_3.pth')})
    set_resume(cfg, None)
    assert (cfg.resume, cfg.load_from) == (True, str(run / 'iter_3.pth'))


def test_nothing_to_resume(run):
    for path in run.glob('*.pth'):
        path.unlink()
    assert find_resumable(str(run)) is None
    assert find_resumable(str(run / 'missing')) is None


def test_does_not_start_anew_over_broken_checkpoints(run):
    (run / 'iter_3.pth').unlink()
    truncated(run / 'iter_6.pth', run).replace(run / 'iter_6.pth')
    with pytest.raises(CheckpointError, match='none of the checkpoints.*iter_6.pth is truncated'):
        find_resumable(str(run))


def test_sets_aside_what_is_damaged_only(run):
    truncated(run / 'iter_6.pth', run).replace(run / 'iter_6.pth')
    (run / 'empty.pth').touch()
    (run / 'zeros.pth').write_bytes(bytes(5000))
    torch.save(print, run / 'refused.pth')
    aside = set_damaged_aside(str(run))
    assert aside == [str(run / f'{name}.pth.damaged') for name in ('empty', 'iter_6', 'zeros')]
    assert find_resumable(str(run)) == str(run / 'iter_3.pth')
    assert (run / 'refused.pth').exists()
    assert set_damaged_aside(str(run)) == []


@pytest.mark.parametrize('content', [{'state_dict': {}}, torch.zeros(3)])
def test_weights_cannot_be_resumed(tmp_path, content):
    torch.save(content, tmp_path / 'weights.pth')
    with pytest.raises(CheckpointError, match='resume: .*weights.pth has only weights'):
        resumed_seed(str(tmp_path / 'weights.pth'), 'resume')
    with pytest.raises(CheckpointError, match='none of the checkpoints'):
        find_resumable(str(tmp_path))


@pytest.mark.parametrize(('saved', 'expected'), [(3, 3), (None, 7)])
def test_the_seed_of_a_resumed_run(run, saved, expected):
    content = read_checkpoint(str(run / 'iter_6.pth'))
    torch.save({**content, 'meta': {**content['meta'], 'seed': saved}}, run / 'changed.pth')
    cfg = Config({'work_dir': str(run), 'randomness': {'seed': 7}})
    set_resume(cfg, str(run / 'changed.pth'))
    assert (cfg.resume, cfg.randomness.seed) == (True, expected)


@pytest.mark.parametrize('missing', ['message_hub', 'epoch', 'iter'])
def test_the_training_state_of_another_runner(run, missing):
    content = read_checkpoint(str(run / 'iter_6.pth'))
    (content if missing in content else content['meta']).pop(missing)
    torch.save(content, run / 'changed.pth')
    with pytest.raises(CheckpointError, match=f'^resume: .* not saved by mmengine.* no {missing};'):
        resumed_seed(str(run / 'changed.pth'), 'resume')


@pytest.mark.parametrize('meta', [5, [1], {'seed': 'a'}, {'seed': {'a': 1}}])
def test_a_training_state_that_cannot_be_used(run, meta):
    content = read_checkpoint(str(run / 'iter_6.pth'))
    state = {**content['meta'], **meta} if isinstance(meta, dict) else meta
    torch.save({**content, 'meta': state}, run / 'changed.pth')
    with pytest.raises(
        CheckpointError, match=r'changed.pth has (only weights|the seed .*, not an int)'
    ):
        resumed_seed(str(run / 'changed.pth'))
