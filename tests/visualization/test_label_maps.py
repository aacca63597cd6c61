"""Label maps, their differences, and positions on the image, in cases made by hand."""

import numpy as np
import pytest

pytest.importorskip('mmcv')

import torch
from mmengine.structures import BaseDataElement, InstanceData, PixelData

from sapa_mm.visualization.canvas import to_cell, to_pixels
from sapa_mm.visualization.label_maps import (
    UNLABELLED,
    boundary_near_centre,
    compare_labels,
    label_map,
)


def names_of(difference):
    return [[difference.names[case] for case in row] for row in difference.cases]


def test_two_models_and_the_truth():
    truth = np.array([[0, 1, 2, UNLABELLED, 3]])
    predictions = {'A': np.array([[0, 1, 0, 0, 0]]), 'B': np.array([[0, 0, 2, 0, 0]])}
    difference = compare_labels(predictions, truth)
    assert names_of(difference) == [
        ['all right', 'only A right', 'only B right', 'no label', 'all wrong']
    ]
    assert len(set(map(tuple, difference.picture[0]))) == 5


def test_three_models():
    truth = np.array([[0, 0, 0, 0]])
    a, b, c = np.array([[0, 0, 1, 1]]), np.array([[0, 0, 1, 0]]), np.array([[0, 1, 2, 1]])
    predictions = {'A': a, 'B': b, 'C': c}
    assert names_of(compare_labels(predictions, truth)) == [
        ['all right', 'several right', 'all wrong', 'only B right']
    ]
    assert names_of(compare_labels(predictions, None)) == [
        ['all the same', 'only C differs', 'only C differs', 'only B differs']
    ]
    predictions['A'] = np.array([[0, 0, 3, 1]])
    assert names_of(compare_labels(predictions, None))[0][2] == 'different'


def test_exactly_the_differing_pixels_are_marked():
    rng = np.random.default_rng(0)
    one, other = rng.integers(0, 3, (2, 20, 30))
    difference = compare_labels({'A': one, 'B': other}, None)
    assert np.array_equal(difference.cases == difference.names.index('different'), one != other)
    single = compare_labels({'A': one}, other)
    assert np.array_equal(single.cases == single.names.index('right'), one == other)


def test_semantic_labels():
    sample = BaseDataElement(pred_sem_seg=PixelData(data=torch.tensor([[[0, 2], [1, 255]]])))
    assert label_map(sample, 'pred', 3).tolist() == [[0, 2], [1, UNLABELLED]]


def test_panoptic_labels():
    values = torch.tensor([[[1, 2002], [1002, 3]]])
    sample = BaseDataElement(
        pred_panoptic_seg=PixelData(sem_seg=values),
        gt_panoptic_seg=PixelData(sem_seg=values),
        pred_instances=InstanceData(),
    )
    # 3 is VOID.
    assert label_map(sample, 'pred', 3).tolist() == [[1, 2], [2, 3]]
    assert label_map(sample, 'gt', 3).tolist() == [[1, 2], [2, UNLABELLED]]


def instances_of(**more):
    boxes = torch.tensor([[0.0, 0, 2, 2], [1, 1, 9, 3], [0, 0, 4, 4]])
    labels, scores = torch.tensor([0, 1, 1]), torch.tensor([0.9, 0.5, 0.2])
    instances = InstanceData(bboxes=boxes, labels=labels, scores=scores, **more)
    return BaseDataElement(pred_instances=instances, metainfo=dict(ori_shape=(3, 4)))


def test_boxes_of_higher_scores_lie_above():
    assert label_map(instances_of(), 'pred', 2).tolist() == [
        [0, 0, 2, 2],
        [0, 0, 1, 1],
        [2, 1, 1, 1],
    ]


def test_masks_go_before_boxes():
    masks = torch.zeros(3, 3, 4, dtype=torch.bool)
    masks[0, 0, 0] = masks[1, 0, :2] = masks[2] = True
    expected = [[0, 1, 2, 2], [2] * 4, [2] * 4]
    assert label_map(instances_of(masks=masks), 'pred', 2).tolist() == expected


def test_positions():
    # A map of 3 x 4 that covers 6 x 12 pixels: cells of 2 x 3.
    size, extent = (3, 4), (6.0, 12.0)
    assert to_pixels((0, 0), size, extent).tolist() == [0.5, 1]
    cells = [to_cell((y, x), size, extent) for y in range(6) for x in range(12)]
    assert cells == [(y // 2, x // 3) for y in range(6) for x in range(12)]


def test_boundary():
    labels = np.zeros((9, 9), int)
    assert boundary_near_centre(labels) == (4, 4)
    labels[:, 7:] = 1
    assert boundary_near_centre(labels) == (4, 6)
    labels[0] = 2
    assert boundary_near_centre(labels) == (4, 6)
