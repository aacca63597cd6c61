"""What holds for a folder of any kind of generated data."""

import subprocess
import sys
from pathlib import Path

import pytest

from sapa_mm.datasets.scenes import writers
from sapa_mm.datasets.scenes.folder import VALIDATION_START
from sapa_mm.datasets.scenes.writers import WRITERS

SMALL = {'num_train': 1, 'num_val': 1, 'size': (32, 40)}


@pytest.fixture(params=sorted(WRITERS))
def kind(request):
    return request.param


@pytest.fixture
def write(kind):
    return WRITERS[kind]


@pytest.fixture
def interrupted(kind, monkeypatch):
    """Have the generation interrupted at an index."""
    name = f'generate_{kind.removesuffix("s")}'
    generate = getattr(writers, name)

    def interrupt_at(stop):
        def generate_until(index, seed, size):
            if index == stop:
                raise KeyboardInterrupt
            return generate(index, seed, size)

        monkeypatch.setattr(writers, name, generate_until)

    return interrupt_at


def contents(root):
    return {
        path.relative_to(root).as_posix(): path.read_bytes()
        for path in root.rglob('*')
        if path.is_file()
    }


def test_a_subset_begins_the_same_whatever_its_size(write, tmp_path):
    write(tmp_path / 'large', **{**SMALL, 'num_train': 3, 'num_val': 2})
    write(tmp_path / 'small', **SMALL)
    large = contents(tmp_path / 'large')
    for name, content in contents(tmp_path / 'small').items():
        if not name.endswith('.json'):
            assert large[name] == content


def test_a_complete_folder_is_left_alone(write, tmp_path, interrupted):
    first = write(tmp_path, **SMALL)
    interrupted(0)
    assert write(tmp_path, **SMALL) == first


@pytest.mark.parametrize(
    ('changed', 'message'),
    [
        ({'num_train': 2}, 'num_train=1, asked for 2'),
        ({'num_val': 3}, 'num_val=1, asked for 3'),
        ({'size': (40, 32)}, r'size=\[32, 40\], asked for \[40, 32\]'),
        ({'seed': 5}, 'seed=0, asked for 5'),
    ],
)
def test_other_arguments_are_refused_unless_overwriting(kind, write, tmp_path, changed, message):
    write(tmp_path, **SMALL)
    before = contents(tmp_path)
    with pytest.raises(ValueError, match=f'holds {kind} with {message}'):
        write(tmp_path, **{**SMALL, **changed})
    assert contents(tmp_path) == before
    write(tmp_path, **{**SMALL, **changed}, overwrite=True)
    after = contents(tmp_path)
    write(tmp_path / 'new', **{**SMALL, **changed})
    assert after == contents(tmp_path / 'new')


def test_an_interrupted_generation_is_made_anew(kind, write, tmp_path, interrupted, monkeypatch):
    arguments = {'num_train': 3, 'num_val': 2, 'size': (32, 40)}
    write(tmp_path / 'whole', **arguments)
    root = tmp_path / 'interrupted'
    with monkeypatch.context():
        interrupted(VALIDATION_START + 1)
        with pytest.raises(KeyboardInterrupt):
            write(root, **{**arguments, 'num_train': 4})
    monkeypatch.undo()
    assert not (root / f'{kind}.json').exists()
    # What a process killed while writing can leave behind.
    (root / f'.{kind}.1-2.partial.json').write_text('{"num')
    next(root.glob('**/*_00000001.*')).write_bytes(b'\xff\xd8')
    write(root, **arguments)
    assert contents(root) == contents(tmp_path / 'whole')


def test_partial_annotation_files_are_removed(tmp_path):
    (tmp_path / 'annotations').mkdir()
    partial = tmp_path / 'annotations/.instances_validation.1-2.partial.json'
    partial.write_text('{"ima')
    WRITERS['scenes'](tmp_path, **SMALL)
    assert not partial.exists()


def test_an_interrupted_overwrite_does_not_pass_for_the_old_data(
    kind, write, tmp_path, interrupted, monkeypatch
):
    write(tmp_path, **SMALL, seed=0)
    before = contents(tmp_path)
    interrupted(VALIDATION_START)
    with pytest.raises(KeyboardInterrupt):
        write(tmp_path, **SMALL, seed=1, overwrite=True)
    monkeypatch.undo()
    assert not (tmp_path / f'{kind}.json').exists()
    write(tmp_path, **SMALL, seed=0)
    assert contents(tmp_path) == before


@pytest.mark.parametrize(
    ('kind', 'lost'),
    [
        ('scenes', 'images/training/scene_00000000.jpg'),
        ('scenes', 'panoptic/validation/scene_50000000.png'),
        ('scenes', 'annotations/panoptic_training.json'),
        ('rooms', 'annotations/test/room_50000000.png'),
        ('mattes', 'test/trimaps/matte_50000000.png'),
    ],
)
def test_a_folder_with_a_file_lost_is_made_anew(kind, lost, tmp_path):
    WRITERS[kind](tmp_path, **SMALL)
    before = contents(tmp_path)
    (tmp_path / lost).unlink()
    WRITERS[kind](tmp_path, **SMALL)
    assert contents(tmp_path) == before


@pytest.mark.parametrize('overwrite', [False, True])
def test_other_datasets_are_never_touched(kind, write, tmp_path, overwrite):
    folder = 'train/fg' if kind == 'mattes' else 'images/training'
    foreign = tmp_path / folder / 'ADE_train_00000001.jpg'
    foreign.parent.mkdir(parents=True)
    foreign.write_bytes(b'precious')
    with pytest.raises(ValueError, match=r'root must be .* which holds .*ADE_train_00000001\.jpg'):
        write(tmp_path, **SMALL, overwrite=overwrite)
    assert set(contents(tmp_path)) == {f'{folder}/ADE_train_00000001.jpg'}


@pytest.mark.parametrize('kinds', [('scenes', 'rooms'), ('rooms', 'scenes')])
def test_another_kind_in_the_same_folders_is_never_touched(kinds, tmp_path):
    first, second = (WRITERS[kind] for kind in kinds)
    first(tmp_path, **SMALL)
    before = contents(tmp_path)
    with pytest.raises(ValueError, match='root must be .* which holds annotations/'):
        second(tmp_path, **SMALL, overwrite=True)
    assert contents(tmp_path) == before


def test_mattes_have_folders_of_their_own(tmp_path):
    for kind in WRITERS:
        if kind != 'rooms':
            WRITERS[kind](tmp_path / 'both', **SMALL)
            WRITERS[kind](tmp_path / kind, **SMALL)
    expected = contents(tmp_path / 'scenes') | contents(tmp_path / 'mattes')
    assert contents(tmp_path / 'both') == expected


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        ({'num_train': 0}, 'num_train must be an integer of at least 1, got 0'),
        ({'num_train': 50_000_001}, 'num_train must be at most 50000000, got 50000001'),
        ({'num_val': -1}, 'num_val must be an integer of at least 1, got -1'),
        ({'num_val': True}, 'num_val must be an integer of at least 1, got True'),
        ({'size': (160, 16)}, r'size must be .* at least 32, got \(160, 16\)'),
        ({'seed': -1}, 'seed must be an integer of at least 0, got -1'),
    ],
)
def test_bad_arguments(write, tmp_path, arguments, message):
    with pytest.raises(ValueError, match=message):
        write(tmp_path, **arguments)
    assert not contents(tmp_path)


def test_root_must_be_a_folder(write, tmp_path):
    (tmp_path / 'file').write_text('')
    for root in (tmp_path / 'file', tmp_path / 'file' / 'data'):
        with pytest.raises(OSError, match='^root: .*file is not a folder, .* cannot be written'):
            write(root)


def test_command(kind, write, tmp_path):
    repository = Path(__file__).parents[3]
    command = [sys.executable, repository / 'tools/make_scenes.py', tmp_path / 'out']
    options = ['--train', '2', '--val', '1', '--size', '32', '40', '--seed', '3']
    # Scenes are what the tool writes if no kind is given.
    options += [] if kind == 'scenes' else ['--kind', kind]
    subprocess.run([*command, *options], check=True)
    write(tmp_path / 'expected', num_train=2, num_val=1, size=(32, 40), seed=3)
    assert contents(tmp_path / 'out') == contents(tmp_path / 'expected')
