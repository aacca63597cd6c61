"""What pipelines do with depth maps is looked at in their configs."""

import pytest

pytest.importorskip('mmseg')

from ...support.depth_data import LOAD, OTHER, lines_of, refuse


@pytest.mark.extended
@pytest.mark.parametrize(
    ('step', 'data', 'message'),
    [
        ({'depth_rescale_factor': 0}, {}, 'depth_rescale_factor must be a number above 0, got 0'),
        ({'depth_rescale_factor': 'mm'}, {}, "must be a number above 0, got 'mm'"),
        ({'depth_rescale_factor': 1.0}, {}, 'are 2,000 to 4,000 m with depth_rescale_factor=1; if '
         'they are in millimetres, set it to 0.001'),
        ({'decode_backend': 'pillow'}, {}, 'decode_backend must be one of cv2, numpy, nifti, '),
        ({'decode_backend': 'numpy'}, {}, 'decode_backend: .png files need cv2, got numpy'),
        ({'to_float32': False}, {}, 'to_float32=False gives whole numbers, models le'),
        ({}, {'ann_file': 'train.txt'}, 'ann_file: NYUDataset reads no list but all images of '),
        ({}, {'data_prefix': {'img_path': 'images/train'}}, 'data_prefix has no depth_map_path, '),
        ({}, {'seg_map_suffix': '.png'}, "multiple values for keyword argument 'seg_map_suffix'"),
        ({}, {'metainfo': {'classes': ['garage']}}, "new classes ['garage'] is not a subset of "),
    ],
)  # fmt: skip
def test_wrong_settings(root, step, data, message):
    assert message in refuse(root, {LOAD: step}, **data)


@pytest.mark.parametrize(
    ('step', 'message'),
    [
        ({'type': 'RandomRotate', 'prob': 0.5, 'degree': 5}, 'seg_pad_val is 255 by default, must'),
        ({'type': 'RandomCutOut', 'prob': 1.0, 'n_holes': 1, 'cutout_shape': (8, 8),
          'seg_fill_in': 9}, 'seg_fill_in is 9, must be 0 with depth maps: 9 would be taken for'),
        ({'type': 'RandomRotFlip'}, 'RandomRotFlip mixes the depths of neighbours where it turns'),
        ({'type': 'RandomCrop', 'crop_size': 32, 'cat_max_ratio': 0.75}, 'cat_max_ratio is for la'),
        ({'type': 'mmcv.RandomFlip', 'prob': 0.5}, "mmcv's RandomFlip moves the pixels of images"),
        ({'type': 'Pad', 'size': (80, 80)}, "mmcv's Pad moves the pixels of images, but not of d"),
        ({'type': 'Albu', 'transforms': [{'type': 'RandomGamma'}, {'type': 'Affine'}]},
         "Affine moves images alone; set additional_targets=dict(gt_depth_map='mask')"),
        ({'type': 'Rerange', 'unknown': 1}, 'pipeline fails for images/train/0.jpg: TypeError: '),
    ],
)  # fmt: skip
def test_steps_that_make_wrong_depths(root, step, message):
    assert message in refuse(root, {OTHER: step})


@pytest.mark.extended
@pytest.mark.parametrize(
    'step',
    [
        {'type': 'PhotoMetricDistortion'},
        {'type': 'RandomRotate', 'prob': 1.0, 'degree': 5, 'seg_pad_val': 0},
        {'type': 'RandomResize', 'scale': (64, 64), 'ratio_range': (1.5, 2.0), 'keep_ratio': True},
        {'type': 'RandomChoice', 'transforms': [[{'type': 'RandomFlip', 'prob': 1.0}]]},
    ],
)
def test_steps_that_are_right(root, step):
    assert [kind for kind, _ in lines_of(root, {OTHER: step})] == ['right']


def test_images_that_move_alone(root):
    flip = {'type': 'RandomFlip', 'prob': 0.5}
    text = refuse(root, {0: flip})
    assert text == (
        '.pipeline.0: RandomFlip comes before the depth maps are loaded, and so moves the images '
        'alone'
    )
