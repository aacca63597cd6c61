"""Panoptic maps of mmdet from segments, and back."""

import numpy as np
import pytest

from sapa_mm.utils.coco_panoptic import Segments, map_name, panoptic_labels, read_id_map

# Of five classes: 5 is VOID. Two things of class 2, and the stuff 1.
MAP = np.array([[1, 2001, 2002], [1002, 5, 1005]])


def test_a_panoptic_map_is_taken_apart():
    segments = Segments.from_panoptic_map(MAP, {5})
    assert segments.id_map.tolist() == [[1, 3, 4], [2, 0, 0]]
    assert segments.ids.tolist() == [1, 2, 3, 4]
    assert segments.labels.tolist() == [1, 2, 1, 2]
    assert panoptic_labels(MAP).tolist() == [[1, 1, 2], [2, 5, 5]]


def test_a_panoptic_map_is_made():
    segments = Segments.make(np.array([[7, 7, 0], [9, 0, 70000]]), [9, 7, 70000], [2, 0, 2])
    expected = [[2000, 2000, 5], [1002, 5, 3002]]
    assert segments.to_panoptic_map(void=5).tolist() == expected


def test_an_image_that_pillow_takes_for_an_attack(tmp_path):
    image = pytest.importorskip('PIL.Image')
    image.new('1', (13500, 13500)).save(tmp_path / 'large.png')
    with pytest.raises(ValueError, match=r'large\.png cannot be read as an image: Image'):
        read_id_map(str(tmp_path / 'large.png'))


def test_names_of_maps():
    assert map_name('a/b.jpg') == map_name('a/b.JPG') == map_name('a/b.png') == 'a/b.png'
