"""What a config says of label maps, and the labels that are found in them."""

import pytest

pytest.importorskip('mmseg')

from mmengine.registry import init_default_scope

from sapa_mm.datasets.checks.label_maps import find_label_problems


def problems(dataset, scope='mmseg', **step):
    init_default_scope(scope)
    step = {'type': 'LoadAnnotations', **step}
    dataset = {
        'type': 'BaseSegDataset',
        'pipeline': [{'type': 'LoadImageFromFile'}, step],
        **dataset,
    }
    return [(line.kind, line.text) for line in find_label_problems(dataset, 'train')]


@pytest.mark.parametrize(
    ('dataset', 'step'), [({}, True), ({'type': 'ADE20KDataset'}, False)], ids=['off', 'default']
)
def test_zero_label_reduced_in_one_place(dataset, step):
    expected = (
        f'train.reduce_zero_label is {not step}, train.pipeline.1.reduce_zero_label is {step}'
    )
    ((kind, text),) = problems(dataset, reduce_zero_label=step)
    assert (kind, text.partition(';')[0]) == ('error', expected)
    for same in (None, not step):
        assert problems(dataset, reduce_zero_label=same) == []


@pytest.mark.parametrize(('reduces', 'most'), [(False, 255), (True, 254)])
def test_more_classes_than_eight_bits_hold(reduces, most):
    def named(count):
        meta = {'classes': [f'c{index}' for index in range(count)]}
        return problems({'metainfo': meta, 'reduce_zero_label': reduces})

    assert named(most) == []
    ((kind, text),) = named(most + 1)
    assert kind == 'error'
    assert text.startswith(f'train: {most + 1} classes, at most {most} are possible: ')


def test_many_classes_in_a_file(tmp_path):
    (tmp_path / 'classes.txt').write_text('\n'.join(f'c{index}' for index in range(300)))
    ((kind, text),) = problems({'metainfo': {'classes': str(tmp_path / 'classes.txt')}})
    assert (kind, text[:18]) == ('error', 'train: 300 classes')


def test_many_classes_of_boxes_are_right():
    pytest.importorskip('mmdet')
    pytest.importorskip('sapa_mm.detection')
    meta = {'classes': [f'c{index}' for index in range(1203)]}
    dataset = {'type': 'CocoDataset', 'metainfo': meta}
    assert problems(dataset, 'mmdet', with_bbox=True, with_mask=True) == []
    panoptic = {**dataset, 'type': 'CocoPanopticDataset'}
    (line,) = problems(panoptic, 'mmdet', type='LoadCocoPanopticAnnotations')
    assert line[0] == 'error'
    boxes = {'type': 'LoadCocoPanopticAnnotations', 'with_seg': False}
    assert problems(panoptic, 'mmdet', **boxes) == []


def test_own_loading_of_labels():
    from mmseg.datasets.transforms import LoadAnnotations

    class Wide(LoadAnnotations):
        def _load_seg_map(self, results):
            pass

    meta = {'classes': [f'c{index}' for index in range(300)]}
    assert problems({'metainfo': meta}, type=Wide) == []


def test_label_maps_in_jpeg():
    ((kind, text),) = problems({'seg_map_suffix': '.JPG'})
    assert (kind, text.split(':')[0]) == ('note', 'train.seg_map_suffix is .JPG')
