"""Images and label maps are looked at as the loading steps of a config read them."""

import json

import numpy as np
import pytest
import torch
from PIL import Image

pytest.importorskip('mmseg')

from mmengine.config import Config
from mmengine.registry import DefaultScope

from sapa_mm.datasets.checks import check_data, samples
from sapa_mm.datasets.checks.samples import inspect_samples

ORIENTATION = 0x0112
CLASSES = ('sky', 'sea')
#: Width and height of the images.
OBLONG, SQUARE = (48, 32), (40, 40)


@pytest.fixture
def data(tmp_path):
    """Make two photographs with label maps of 0 and 1."""
    return make(tmp_path, OBLONG)


def make(root, size, turned=False, maps_turned=False):
    exif = Image.Exif()
    exif[ORIENTATION] = 6 if turned else 1
    rng = np.random.default_rng(0)
    for folder in ('images', 'maps'):
        (root / folder).mkdir()
    for name in 'ab':
        pixels = rng.integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
        Image.fromarray(pixels).save(root / 'images' / f'{name}.jpg', exif=exif)
        labels = pixels[..., 0] % 2
        write(root / 'maps' / f'{name}.png', labels.T if maps_turned else labels)
    return root


def write(path, labels):
    Image.fromarray(np.asarray(labels)).save(path)


def describe(root, load=None, labels=None, **config):
    """The config of a dataset."""
    pipeline = [{'type': 'LoadImageFromFile', **(load or {})}]
    pipeline += [{'type': 'LoadAnnotations', **labels}] if labels is not None else []
    return {
        'type': 'BaseSegDataset',
        'data_root': str(root),
        'data_prefix': {'img_path': 'images', 'seg_map_path': 'maps'},
        'metainfo': {'classes': CLASSES},
        'pipeline': [*pipeline, {'type': 'PackSegInputs'}],
        **config,
    }


def inspect(root, load=None, labels=None, ignored=(), model=None, **config):
    """Inspect all images; the keys and the place are cut from the texts."""
    config = describe(root, load, labels, **config)
    with DefaultScope.overwrite_default_scope('mmseg'):
        lines = list(inspect_samples(config, 'train', 20, 0, ignored=ignored, model=model))
    return [(line.kind, line.text.replace(f'{root}/', '')) for line in lines]


def errors(lines):
    return [text.removeprefix('train: ') for kind, text in lines if kind == 'error']


def notes(lines):
    return [text.removeprefix('train: ') for kind, text in lines if kind == 'note']


RIGHT = [('right', 'train: 2 images, 2 of them opened, with their annotations')]


def test_datasets_of_torch_are_not_built(data):
    class Own(torch.utils.data.Dataset):
        def __init__(self, *args, **options):
            raise AssertionError('it may take hours')

    assert inspect(data, type=Own) == [
        ('note', 'train: Own is no BaseDataset of mmengine, none of its images was opened')
    ]


def test_right_data(data):
    assert inspect(data, labels={}) == RIGHT
    # A test set without label maps.
    assert inspect(data) == [('right', 'train: 2 images, 2 of them opened')]


class TestOrientation:
    """OpenCV and Pillow turn photographs by their EXIF orientation, nothing turns label maps."""

    @pytest.mark.parametrize('backend', ['cv2', 'pillow'])
    def test_turned_with_their_label_maps(self, tmp_path, backend):
        make(tmp_path, OBLONG, turned=True, maps_turned=True)
        note, right = inspect(tmp_path, {'imdecode_backend': backend}, {})
        assert note[1].startswith('train: 2 of 2 images opened are turned by their EXIF orienta')
        assert 'sizes cannot tell' not in note[1]
        assert right == RIGHT[0]

    def test_label_maps_as_images_are_stored(self, tmp_path):
        make(tmp_path, OBLONG, turned=True)
        (first, _) = errors(inspect(tmp_path, labels={}))
        assert first.startswith(
            'maps/a.png is 48x32, its image 32x48 (width x height): the EXIF orientation 6 of the '
            'image turns it when it is read'
        )
        assert inspect(tmp_path, {'color_type': 'color_ignore_orientation'}, {}) == RIGHT
        assert inspect(tmp_path, {'color_type': 'unchanged'}, {}) == RIGHT

    def test_before_a_run(self, tmp_path):
        cfg = Config(
            {'train_dataloader': {'dataset': describe(make(tmp_path, OBLONG, True), labels={})}}
        )
        with (
            DefaultScope.overwrite_default_scope('mmseg'),
            pytest.raises(
                ValueError, match=r'a\.png is 48x32, its image 32x48 .* EXIF orientation 6'
            ),
        ):
            check_data(cfg, ['train'])

    def test_advice_that_helps(self, tmp_path):
        """OpenCV turns TIFF files whatever color_type is."""
        make(tmp_path, OBLONG, turned=True)
        for name in 'ab':
            image = Image.open(tmp_path / 'images' / f'{name}.jpg')
            image.save(tmp_path / 'images' / f'{name}.tif', exif=image.getexif())
        for suffix in ('.jpg', '.tif'):
            first, _ = errors(inspect(tmp_path, labels={}, img_suffix=suffix))
            load = {'color_type': 'color_ignore_orientation'}
            helps = inspect(tmp_path, load, {}, img_suffix=suffix) == RIGHT
            assert helps == first.endswith("color_type='color_ignore_orientation'")

    def test_not_obeyed(self, tmp_path):
        make(tmp_path, OBLONG, turned=True, maps_turned=True)
        (first, _) = errors(inspect(tmp_path, {'color_type': 'unchanged'}, {}))
        assert first.endswith(
            'the EXIF orientation 6 of the image is not obeyed when it is read (imdecode_backend, '
            'color_type)'
        )

    @pytest.mark.parametrize('maps_turned', [False, True])
    def test_square_images_are_noted(self, tmp_path, maps_turned):
        make(tmp_path, SQUARE, turned=True, maps_turned=maps_turned)
        (note,) = notes(inspect(tmp_path, labels={}))
        assert note.endswith('; for 2, sizes cannot tell whether they do')


class TestLabels:
    def test_masks_of_0_and_255(self, data):
        for name in 'ab':
            path = data / 'maps' / f'{name}.png'
            write(path, np.asarray(Image.open(path)) * np.uint8(255))
        (text,) = errors(inspect(data, labels={}))
        assert text.startswith('no pixel of sea in the 2 label maps opened, ')
        assert text.endswith(
            'of whose pixels are ignored: their labels are 0, 255; 255 is ignored, write 1 for '
            'the second class'
        )
        (text,) = errors(inspect(data, labels={}, reduce_zero_label=True))
        assert text.startswith(
            'all pixels of the 2 label maps opened are ignored: their labels are 0, 255; '
            'reduce_zero_label ignores 0; '
        )

    def test_zero_reduced_of_two_classes(self, data):
        (text,) = errors(inspect(data, labels={}, reduce_zero_label=True))
        assert text.startswith('no pixel of sea in the 2 label maps opened, ')
        assert text.endswith('their labels are 0, 1; reduce_zero_label ignores 0')

    def test_classes_that_never_occur_are_noted(self, data):
        many = {'classes': (*CLASSES, *'abcdef')}
        assert notes(inspect(data, labels={}, metainfo=many)) == [
            'no pixel of 6 of the 8 classes (a, b, c, ...) in the 2 label maps opened'
        ]

    @pytest.mark.parametrize(
        ('label', 'kind', 'text'),
        [
            (1, np.uint16, None),
            (65535, np.uint16, None),
            (255, np.uint8, None),
            (
                2,
                np.uint8,
                'has label 2, allowed are 0 to 1 and 255; if it stands for unlabelled pixels, make '
                'it 255, or set ignore_index',
            ),
            (254, np.uint8, 'has label 254, allowed are 0 to 1 and 255'),
            (257, np.uint16, 'has label 257, which is read as 1: allowed are 0 to 1 and 255'),
            (511, np.uint16, 'has label 511, which is read as 255: allowed are 0 to 1 and 255'),
        ],
    )
    @pytest.mark.parametrize('backend', ['pillow', 'cv2'])
    def test_labels_in_8_and_16_bits(self, data, label, kind, text, backend):
        labels = np.asarray(Image.open(data / 'maps' / 'a.png')).astype(kind)
        labels[0, 0] = label
        write(data / 'maps' / 'a.png', labels)
        lines = inspect(data, labels={'imdecode_backend': backend})
        assert errors(lines) == ([f'maps/a.png {text}'] if text else [])
        assert lines == RIGHT or text

    def test_another_label_is_ignored(self, data):
        labels = np.array(Image.open(data / 'maps' / 'a.png'))
        labels[0, 0] = 254
        write(data / 'maps' / 'a.png', labels)
        assert inspect(data, labels={}, ignored={254}) == RIGHT
        labels[0, 0] = 255
        write(data / 'maps' / 'a.png', labels)
        (text,) = errors(inspect(data, labels={}, ignored={254}))
        assert text == 'maps/a.png has label 255, allowed are 0 to 1 and 254'

    def test_some_classes_of_a_dataset(self, data):
        """The files have the labels of all, 1 to 150 in ADE20K."""
        ade = {'type': 'ADE20KDataset', 'metainfo': {'classes': ('wall', 'sky')}}
        labels = np.array(Image.open(data / 'maps' / 'a.png'))
        labels[0, :4] = 0, 3, 150, 255
        write(data / 'maps' / 'a.png', labels)
        assert not errors(inspect(data, labels={}, **ade))
        labels[0, 0] = 151
        write(data / 'maps' / 'a.png', labels)
        (text,) = errors(inspect(data, labels={}, **ade))
        assert text == 'maps/a.png has label 151, allowed are 0 to 150 and 255'

    @pytest.mark.parametrize('mode', ['RGB', 'RGBA', 'LA'])
    def test_several_channels(self, data, mode):
        path = data / 'maps' / 'a.png'
        Image.open(path).convert(mode).save(path)
        assert errors(inspect(data, labels={})) == [
            f'maps/a.png (mode {mode}) is read with {len(mode)} channels, a label map has one'
        ]

    def test_palette(self, data):
        """Pillow keeps the labels, OpenCV makes colours of them."""
        path = data / 'maps' / 'a.png'
        image = Image.open(path).convert('P')
        image.putpalette([200, 0, 0, 0, 200, 0])
        image.save(path)
        assert inspect(data, labels={}) == RIGHT
        (text,) = errors(inspect(data, labels={'imdecode_backend': 'cv2'}))
        assert text.endswith("set imdecode_backend='pillow', which keeps a palette")

    def test_one_bit(self, data):
        """OpenCV reads a bit as 0 and 255."""
        for name in 'ab':
            path = data / 'maps' / f'{name}.png'
            Image.fromarray(np.asarray(Image.open(path)) > 0).save(path)
        assert inspect(data, labels={}) == RIGHT
        (text,) = errors(inspect(data, labels={'imdecode_backend': 'cv2'}))
        assert text.endswith(
            "; 255 is ignored, set imdecode_backend='pillow', which reads bits as 0 and 1"
        )

    def test_floats(self, data):
        for name in 'ab':
            labels = np.asarray(Image.open(data / 'maps' / f'{name}.png')).astype(np.float32)
            write(data / 'maps' / f'{name}.tif', labels)
        assert inspect(data, labels={}, seg_map_suffix='.tif') == RIGHT
        write(data / 'maps' / 'b.tif', labels + np.float32(0.5))
        (text,) = errors(inspect(data, labels={}, seg_map_suffix='.tif'))
        assert text == 'maps/b.tif has label 1.5, labels are whole numbers'


class TestImages:
    def test_more_than_pillow_opens(self, data, monkeypatch):
        monkeypatch.setattr(Image, 'MAX_IMAGE_PIXELS', 500)
        first, _ = errors(inspect(data, labels={}))
        assert first == (
            'maps/a.png is 48x32 (width x height), more than Pillow opens; set '
            "train.pipeline.1.imdecode_backend='cv2'"
        )
        assert inspect(data, labels={'imdecode_backend': 'cv2'}) == RIGHT

    def test_more_than_fits_into_memory(self, data, monkeypatch):
        monkeypatch.setattr(samples, 'MOST_PIXELS', 1000)
        (note,) = notes(inspect(data, labels={}))
        assert note.startswith('2 images of more than 0 megapixels were not opened: images/a.jpg')

    def test_damaged(self, data):
        path = data / 'images' / 'a.jpg'
        path.write_bytes(path.read_bytes()[:-300])
        (text,) = errors(inspect(data, labels={}))
        assert text.startswith('images/a.jpg cannot be read: ')

    @pytest.mark.parametrize('bands', [None, 1, 4])
    def test_floats_of_several_bands(self, data, bands):
        tifffile = pytest.importorskip('tifffile')
        for name in 'ab':
            shape = OBLONG[::-1] if bands is None else (*OBLONG[::-1], bands)
            tifffile.imwrite(data / 'images' / f'{name}.tif', np.ones(shape, np.float32))
        load = {'imdecode_backend': 'tifffile'}
        assert inspect(data, load, {}, img_suffix='.tif') == RIGHT
        pixels = np.full(shape, np.nan, np.float32)
        tifffile.imwrite(data / 'images' / 'a.tif', pixels)
        (text,) = errors(inspect(data, load, {}, img_suffix='.tif'))
        assert text == 'images/a.tif has pixels that are NaN or infinite'

    def test_bands_first(self, data):
        tifffile = pytest.importorskip('tifffile')
        pixels = np.ones((4, *OBLONG[::-1]), np.float32)
        for name in 'ab':
            tifffile.imwrite(data / 'images' / f'{name}.tif', pixels)
        first, _ = errors(inspect(data, {'imdecode_backend': 'tifffile'}, {}, img_suffix='.tif'))
        assert first.endswith(': its array is (4, 32, 48), and channels must be last')

    def test_no_step_loads_images(self, data):
        note, right = inspect(data, pipeline=[])
        assert note[1].startswith('train: no image was opened')
        assert right[1] == 'train: 2 images, 0 of them opened'


class TestChannels:
    NORMAL = {'type': 'SegDataPreProcessor', 'mean': [1.0] * 3, 'std': [2.0] * 3}

    def inspect(self, data, mode, channels=None, **preprocessor):
        for name in 'ab':
            image = Image.open(data / 'images' / f'{name}.jpg').convert(mode)
            image.save(data / 'images' / f'{name}.png')
        backbone = {'type': 'MixVisionTransformer'}
        backbone |= {'in_channels': channels} if channels else {}
        model = {'data_preprocessor': {**self.NORMAL, **preprocessor}, 'backbone': backbone}
        load = {'color_type': 'unchanged'}
        return inspect(data, load, {}, img_suffix='.png', model=model)

    def test_right(self, data):
        one = {'mean': [1.0], 'std': [2.0]}
        assert self.inspect(data, 'RGB') == RIGHT
        assert self.inspect(data, 'RGBA', 4, **one) == RIGHT
        assert self.inspect(data, 'L', 1, **one) == RIGHT
        # mmseg's preprocessor makes three channels of one, with three means.
        assert self.inspect(data, 'L') == RIGHT

    def test_channels_that_the_backbone_does_not_take(self, data):
        (text,) = errors(self.inspect(data, 'RGBA', mean=[1.0], std=[2.0]))
        assert text == (
            'model.backbone.in_channels is 3, but 4 channels reach it: 2 of 2 images opened have 4 '
            'channels (such as images/a.png)'
        )

    def test_means_that_do_not_fit(self, data):
        (text,) = errors(self.inspect(data, 'RGBA', 4))
        assert text.startswith('model.data_preprocessor (mean, std, bgr_to_rgb): ')
        assert text.endswith(
            '; model.backbone.in_channels is 4, 2 of 2 images opened have 4 channels (such as '
            'images/a.png)'
        )

    def test_images_that_differ(self, data):
        """A batch with images of one channel and of three fails, or is not turned to RGB."""
        image = Image.open(data / 'images' / 'b.jpg')
        image.convert('L').save(data / 'images' / 'b.jpg')
        (text,) = errors(inspect(data, {'color_type': 'unchanged'}, {}))
        assert text == (
            'images differ in channels, set color_type: 1 of 2 images opened have 3 channels (such '
            'as images/a.jpg), 1 of 2 images opened have 1 channels (such as images/b.jpg)'
        )
        assert inspect(data, {}, {}) == RIGHT

    def test_step_that_fails(self, data):
        steps = [{'type': 'LoadImageFromFile'}, {'type': 'PhotoMetricDistortion'}]
        steps += [{'type': 'RandomCrop', 'crop_size': (8, 8)}, {'type': 'PackSegInputs'}]
        steps.insert(1, {'type': 'Normalize', 'mean': [0.0], 'std': 'x'})
        (text,) = errors(inspect(data, pipeline=steps))
        assert text.startswith('train.pipeline fails for images/a.jpg: ')


def test_boxes_of_a_photograph_that_is_turned(tmp_path):
    """mmdet reads images as mmseg does; the JSON file may have the size of the stored image."""
    pytest.importorskip('mmdet')
    make(tmp_path, OBLONG, turned=True)
    config = {
        'type': 'CocoDataset',
        'data_root': str(tmp_path),
        'ann_file': 'boxes.json',
        'data_prefix': {'img': 'images'},
        'metainfo': {'classes': ('ship',)},
        'pipeline': [{'type': 'LoadImageFromFile'}, {'type': 'PackDetInputs', 'meta_keys': ()}],
    }

    def found(width, height, **options):
        images = [
            {'id': index, 'file_name': f'{name}.jpg', 'width': width, 'height': height}
            for index, name in enumerate('ab', 1)
        ]
        box = {'id': 1, 'image_id': 1, 'category_id': 1, 'bbox': [1, 2, 9, 9], 'area': 81}
        content = {'images': images, 'annotations': [{**box, 'iscrowd': 0}]}
        content['categories'] = [{'id': 1, 'name': 'ship'}]
        (tmp_path / 'boxes.json').write_text(json.dumps(content))
        with DefaultScope.overwrite_default_scope('mmdet'):
            return list(inspect_samples({**config, **options}, 'train', 20, 0))

    first, _, note = found(*OBLONG)
    assert first.text.startswith(
        f'train: {tmp_path}/images/a.jpg is 32x48, its annotation says 48x32 (width x height): the '
        'EXIF orientation 6 of the image turns it'
    )
    assert note.text.startswith('train: 2 of 2 images opened are turned')
    assert [line.kind for line in found(*OBLONG[::-1])] == ['note', 'right']
    stored = [{**config['pipeline'][0], 'color_type': 'unchanged'}, config['pipeline'][1]]
    assert [line.kind for line in found(*OBLONG, pipeline=stored)] == ['right']
