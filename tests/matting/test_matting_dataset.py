"""Which files belong together: Composition-1k as delivered, plain folders, composed images."""

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip('mmcv')

from sapa_mm.matting import MattingDataset

from ..support.matting_data import save, write_plain

GRAY = np.zeros((4, 4))
COLOR = np.zeros((4, 4, 3))
TEST = dict(img_path='merged', trimap_path='trimaps', alpha_path='alpha')


def names(dataset, key):
    return [Path(dataset.get_data_info(index)[key]).name for index in range(len(dataset))]


def seed():
    np.random.seed(0)  # noqa: NPY002 - what the dataset draws from


def test_plain_folder(tmp_path):
    write_plain(tmp_path)
    (tmp_path / 'fg/._f0.png').touch()  # macOS
    (tmp_path / 'fg/notes.txt').touch()
    dataset = MattingDataset(data_root=str(tmp_path))
    assert (
        names(dataset, 'fg_path') == names(dataset, 'alpha_path') == ['f0.png', 'f1.png', 'f2.png']
    )
    assert names(dataset, 'img_path') == names(dataset, 'fg_path')
    assert [Path(path).name for path in dataset.backgrounds] == ['b0.png', 'b1.png']


def test_background_and_other_foreground_are_drawn(tmp_path):
    dataset = MattingDataset(data_root=str(write_plain(tmp_path)))
    seed()
    drawn = [dataset[1] for _ in range(60)]
    assert {Path(info['fg_path']).name for info in drawn} == {'f1.png'}
    assert {Path(info['bg_path']).name for info in drawn} == {'b0.png', 'b1.png'}
    others = [Path(info['other_fg_path']).stem for info in drawn]
    assert set(others) == {'f0', 'f1', 'f2'}
    assert others == [Path(info['other_alpha_path']).stem for info in drawn]


def test_backgrounds_of_one_name_in_two_folders(tmp_path):
    write_plain(tmp_path)
    save(tmp_path / 'bg2/b0.png', COLOR)
    prefix = dict(fg_path='fg', alpha_path='alpha', bg_path='bg*')
    dataset = MattingDataset(data_root=str(tmp_path), data_prefix=prefix)
    assert [Path(path).name for path in dataset.backgrounds] == ['b0.png', 'b1.png', 'b0.png']


def test_composition_1k_as_delivered(tmp_path):
    """Foregrounds in two folders, and lists in the order of which they come."""
    for kind, name in (('Adobe-licensed images', 'b'), ('Other', 'a'), ('Other', 'unlisted')):
        save(tmp_path / f'{kind}/fg/{name}.jpg', COLOR)
        save(tmp_path / f'{kind}/alpha/{name}.png', GRAY)
    write_plain(tmp_path, count=0)
    (tmp_path / 'fg.txt').write_bytes(b'b.jpg\r\na.jpg \r\n\r\n')
    (tmp_path / 'bg.txt').write_text('b1.png\nb0.png\nb1.png\n')
    prefix = dict(fg_path='*/fg', alpha_path='*/alpha', bg_path=str(tmp_path / 'bg'))
    dataset = MattingDataset('fg.txt', 'bg.txt', str(tmp_path), prefix)
    assert names(dataset, 'alpha_path') == ['b.png', 'a.png']
    assert [Path(path).stem for path in dataset.backgrounds] == ['b1', 'b0', 'b1']


def test_composed_images_share_the_alpha(tmp_path):
    for name in ('f_0', 'f_1', 'g'):
        save(tmp_path / f'merged/{name}.png', COLOR)
        save(tmp_path / f'trimaps/{name}.png', GRAY)
    for name in ('f', 'f_1', 'g'):
        save(tmp_path / f'alpha/{name}.png', GRAY)
    dataset = MattingDataset(data_root=str(tmp_path), data_prefix=TEST)
    assert names(dataset, 'trimap_path') == ['f_0.png', 'f_1.png', 'g.png']
    assert names(dataset, 'alpha_path') == ['f.png', 'f_1.png', 'g.png']  # its own, if there is one
    assert 'bg_path' not in dataset[0]
    (tmp_path / 'trimaps/f_0.png').rename(tmp_path / 'trimaps/f.png')
    with pytest.raises(ValueError, match='lacks 1 of the images: f_0.png'):
        MattingDataset(data_root=str(tmp_path), data_prefix=TEST)


def test_without_truth(tmp_path):
    for folder in ('merged', 'trimaps'):
        save(tmp_path / f'{folder}/a.png', GRAY)
    prefix = dict(img_path='merged', trimap_path='trimaps')
    assert 'alpha_path' not in MattingDataset(data_root=str(tmp_path), data_prefix=prefix)[0]


@pytest.mark.parametrize(
    ('change', 'options', 'message'),
    [
        (lambda root: (root / 'alpha/f1.png').unlink(), {}, 'alpha_path: .* lacks 1 .* f1.png'),
        (lambda root: (root / 'bg').rename(root / 'b'), {}, 'bg_path: no folder .*/bg'),
        (lambda root: [path.unlink() for path in (root / 'bg').iterdir()], {}, 'bg_path: no image'),
        (lambda root: save(root / 'alpha/f1.bmp', GRAY), {}, 'f1.bmp and .*f1.png have one name'),
        (lambda root: (root / 'l').write_text('x.png'), dict(ann_file='l'), 'fg_path.*l: x.png'),
        (lambda root: (root / 'l').write_text('x.png'), dict(bg_file='l'), 'bg_path.*l: x.png'),
        (lambda root: (root / 'l').write_text('\n'), dict(bg_file='l'), 'bg_file: .*has no names'),
        (lambda root: None, dict(ann_file='l'), 'ann_file: .*l is not a file'),
        (lambda root: None, dict(data_prefix=dict(img_path='fg')), 'data_prefix must have '),
    ],
)  # fmt: skip
def test_what_is_missing(tmp_path, change, options, message):
    change(write_plain(tmp_path))
    with pytest.raises((ValueError, FileNotFoundError), match=message) as error:
        MattingDataset(data_root=str(tmp_path), **options)
    assert '\n' not in str(error.value)
