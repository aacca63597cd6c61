"""A file for each image: names, label maps of many classes, pictures of odd predictions."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image

pytest.importorskip('mmengine')

from mmengine.registry import HOOKS
from mmengine.structures import BaseDataElement, InstanceData, PixelData

from sapa_mm.engine import SavePredictionsHook
from sapa_mm.engine.save_predictions_hook import relative_names


@pytest.mark.parametrize(
    ('paths', 'names'),
    [
        (['images/0.jpg', 'images/1.jpg'], ['0', '1']),
        (['images/a/0.jpg', 'images/b/0.jpg'], ['a/0', 'b/0']),
        (['one/images/0.jpg', 'two/images/0.jpg', '0.jpg'], ['one/images/0', 'two/images/0', '0']),
        (['a/0.jpg', 'a/0.png', 'a/1.png'], ['0.jpg', '0.png', '1']),
        (['a/../b/0.jpg', './b/1.jpg', 'b//2.jpg'], ['0', '1', '2']),
        (['a/0.jpg', 'a/0.jpg'], ['0']),
        (['.hidden.jpg', 'no-suffix'], ['.hidden', 'no-suffix']),
        ([], []),
    ],
)
def test_names(paths, names):
    assert list(relative_names(paths).values()) == names


class Images:
    """A data set of images in two folders."""

    def __init__(self, folder, num_classes=3):
        self.paths = [str(folder / part / '0.jpg') for part in ('a', 'b')]
        for path in self.paths:
            (folder / path).parent.mkdir(exist_ok=True)
            Image.new('RGB', (8, 6), 'white').save(path)
        colours = [(90 * label, 0, 0) for label in range(num_classes)]
        names = [f'class {label}' for label in range(num_classes)]
        self.metainfo = {'classes': names, 'palette': colours}

    def __len__(self):
        return len(self.paths)

    def get_data_info(self, index):
        return {'img_path': self.paths[index]}


def run(dataset, samples, visualizer=None, **options):
    loader = SimpleNamespace(dataset=dataset)
    runner = SimpleNamespace(test_dataloader=loader, visualizer=visualizer)
    hook = HOOKS.build({'type': 'SavePredictionsHook', **options})
    hook.before_test(runner)
    hook.after_test_iter(runner, 0, None, samples)
    return hook


@pytest.mark.parametrize(
    ('classes', 'reduce', 'mode', 'stored'),
    [(256, False, 'L', 255), (256, True, 'I;16', 256), (300, False, 'I;16', 255)],
)
def test_labels_of_many_classes(tmp_path, classes, reduce, mode, stored):
    """8 bits where they hold all classes, in the numbers of the data set's own files."""
    SegDataSample = pytest.importorskip('mmseg.structures').SegDataSample
    dataset = Images(tmp_path, classes)
    samples = []
    for path in dataset.paths:
        meta = {'img_path': path, 'reduce_zero_label': reduce}
        samples.append(SegDataSample(metainfo=meta))
        samples[-1].pred_sem_seg = PixelData(data=torch.full((1, 6, 8), 255))
    run(dataset, samples, out=str(tmp_path / 'out'))
    for part in ('a', 'b'):
        labels = Image.open(tmp_path / 'out' / part / '0.png')
        assert labels.mode == mode
        assert (np.asarray(labels) == stored).all()
    del samples[0].pred_sem_seg
    with pytest.raises(ValueError, match=r'^out: .*0.jpg has no predicted map'):
        run(dataset, samples, out=str(tmp_path / 'out'))


def depth_samples(dataset, depth, truth=None):
    SegDataSample = pytest.importorskip('mmseg.structures').SegDataSample
    samples = [SegDataSample(metainfo={'img_path': path}) for path in dataset.paths]
    for sample in samples:
        maps = {'pred_depth_map': depth} | ({} if truth is None else {'gt_depth_map': truth})
        sample.set_data({key: PixelData(data=value[None]) for key, value in maps.items()})
    return samples


def test_depth_maps_as_images_and_arrays(tmp_path, monkeypatch):
    said = []
    monkeypatch.setattr('sapa_mm.utils.log._log', lambda text, _: said.append(text))
    dataset = Images(tmp_path)
    depth = torch.full((6, 8), 1.2344)
    depth[0, :3] = torch.tensor([80, torch.nan, -1])
    samples = depth_samples(dataset, depth)
    run(dataset, samples, out=str(tmp_path / 'png'))
    run(dataset, samples, out=str(tmp_path / 'npy'), out_format='npy')
    for part in ('a', 'b'):
        image = Image.open(tmp_path / 'png' / part / '0.png')
        assert image.mode == 'I;16'
        values = np.asarray(image)
        assert values[0, :4].tolist() == [65535, 0, 0, 1234]
        assert (values[1:] == 1234).all()
        array = np.load(tmp_path / 'npy' / part / '0.npy')
        np.testing.assert_array_equal(array, depth.numpy())
    assert said == [
        f'out: {dataset.paths[0]} has depths of up to 80 m, which become 65.535 m, the most that '
        '16 bits of millimetres hold; out_format npy keeps them; the same is not said again'
    ]


@pytest.mark.parametrize('has_truth', [True, False])
def test_depth_maps_are_drawn_in_half_precision_too(tmp_path, has_truth):
    dataset = Images(tmp_path)
    depth = torch.full((6, 8), 2.0, dtype=torch.bfloat16)
    samples = depth_samples(dataset, depth, torch.ones(6, 8) if has_truth else None)
    run(dataset, samples, show_dir=str(tmp_path / 'drawn'))
    pictures = [Image.open(tmp_path / 'drawn' / part / '0.png') for part in ('a', 'b')]
    assert {picture.height for picture in pictures} == {544 if has_truth else 272}


def mattes(dataset, alpha, truth=None):
    samples = [BaseDataElement(metainfo={'img_path': path}) for path in dataset.paths]
    for sample in samples:
        maps = {'pred_alpha': alpha, 'trimap': torch.full((6, 8), 128, dtype=torch.uint8)}
        maps |= {} if truth is None else {'gt_alpha': truth}
        sample.set_data({key: PixelData(data=value[None]) for key, value in maps.items()})
    return samples


def test_alpha_is_rounded_to_8_bits(tmp_path):
    dataset = Images(tmp_path)
    alpha = torch.full((6, 8), 100.6 / 255)
    alpha[0, :3] = torch.tensor([0, 1, torch.nan])
    run(dataset, mattes(dataset, alpha), out=str(tmp_path / 'out'))
    for part in ('a', 'b'):
        image = Image.open(tmp_path / 'out' / part / '0.png')
        assert image.mode == 'L'
        values = np.asarray(image)
        assert values[0, :4].tolist() == [0, 255, 0, 101]
        assert (values[1:] == 101).all()


@pytest.mark.parametrize('has_truth', [True, False])
def test_mattes_are_drawn_in_half_precision_too(tmp_path, monkeypatch, has_truth):
    monkeypatch.setattr('importlib.util.find_spec', lambda name: None)
    dataset = Images(tmp_path)
    alpha = torch.full((6, 8), 0.5, dtype=torch.bfloat16)
    samples = mattes(dataset, alpha, torch.ones(6, 8) if has_truth else None)
    run(dataset, samples, show_dir=str(tmp_path / 'drawn'))
    pictures = [Image.open(tmp_path / 'drawn' / part / '0.png') for part in ('a', 'b')]
    # Three columns of panels and a scale, or two.
    assert {picture.width for picture in pictures} == {8 + 3 * 328 + 80 if has_truth else 664}


def test_cut_outs_have_the_colours_of_the_foreground(tmp_path):
    """Half a red thing before white is red, not pink."""
    pytest.importorskip('pymatting')
    dataset = Images(tmp_path)
    alpha = np.tile(np.linspace(1, 0, 8, dtype=np.float32), (6, 1))
    image = np.rint(255 * (alpha[..., None] * [1, 0, 0] + 1 - alpha[..., None])).astype(np.uint8)
    for path in dataset.paths:
        Image.fromarray(image).save(path, quality=100, subsampling=0)
    samples = mattes(dataset, torch.tensor(alpha))
    run(dataset, samples, out=str(tmp_path / 'out'), out_format='rgba')
    cutout = np.asarray(Image.open(tmp_path / 'out/a/0.png')).astype(int)
    np.testing.assert_array_equal(cutout[..., 3], np.rint(255 * alpha))
    mixed = (alpha > 0.1) & (alpha < 0.9)
    assert image[mixed][:, 1].mean() > 120
    assert cutout[mixed][:, 1].mean() < 20
    assert cutout[mixed][:, 0].min() > 235


@pytest.fixture
def visualizer():
    visualizers = pytest.importorskip('mmdet.visualization')
    return visualizers.DetLocalVisualizer(name='test_save_predictions_hook')


def detections(path, void):
    from mmdet.structures import DetDataSample

    sample = DetDataSample(metainfo={'img_path': path, 'ori_shape': (6, 8)})
    masks = np.zeros((1, 6, 8), bool)
    masks[:, 1:4, 2:6] = True
    boxes = torch.tensor([[2.0, 1.0, 6.0, 4.0]])
    labels, scores = torch.ones(1, dtype=torch.int64), torch.ones(1)
    sample.pred_instances = InstanceData(bboxes=boxes, labels=labels, scores=scores, masks=masks)
    if void:
        del sample.pred_instances
        for key in ('pred_panoptic_seg', 'gt_panoptic_seg'):
            sample.set_field(PixelData(sem_seg=torch.full((1, 6, 8), 3)), key, PixelData)
    return sample


def test_pictures_of_nothing_but_void(tmp_path, visualizer):
    dataset = Images(tmp_path)
    visualizer.dataset_meta = dataset.metainfo
    samples = [detections(path, True) for path in dataset.paths]
    run(dataset, samples, visualizer, show_dir=str(tmp_path / 'drawn'))
    assert 'pred_panoptic_seg' in samples[0]  # as it was, for the metrics
    for part in ('a', 'b'):
        picture = np.asarray(Image.open(tmp_path / 'drawn' / part / '0.jpg'))
        assert picture.shape == (6, 16, 3)  # truth and prediction
        assert (picture > 250).all()


def test_the_same_prediction_gives_the_same_picture(tmp_path, visualizer):
    dataset = Images(tmp_path)
    visualizer.dataset_meta = dataset.metainfo
    samples = [detections(path, False) for path in dataset.paths]
    np.random.seed(5)  # noqa: NPY002
    expected = np.random.rand()  # noqa: NPY002
    np.random.seed(5)  # noqa: NPY002
    run(dataset, samples, visualizer, show_dir=str(tmp_path / 'drawn'))
    assert np.random.rand() == expected  # noqa: NPY002
    first, second = ((tmp_path / 'drawn' / part / '0.jpg').read_bytes() for part in ('a', 'b'))
    assert first == second
    assert np.asarray(Image.open(tmp_path / 'drawn/a/0.jpg')).min() < 200


def test_an_image_that_cannot_be_drawn(tmp_path, visualizer, monkeypatch):
    dataset = Images(tmp_path)
    visualizer.dataset_meta = dataset.metainfo
    for path in dataset.paths:
        with open(path, 'wb') as file:
            file.write(b'no image')
    samples = [detections(path, False) for path in dataset.paths]
    said = []
    monkeypatch.setattr('sapa_mm.utils.log._log', lambda text, _: said.append(text))
    hook = run(dataset, samples, visualizer, show_dir=str(tmp_path / 'drawn'))
    assert isinstance(hook, SavePredictionsHook)
    assert not (tmp_path / 'drawn').exists()
    (text,) = said
    assert text.startswith(f'show_dir: not drawn: image: {dataset.paths[0]} cannot be read')
