"""Mask, trimap, alpha: masks as mmseg's and mmdet's own functions give them."""

import numpy as np
import pytest
import torch

pytest.importorskip('mmcv')

from mmengine.registry import DefaultScope

from sapa_mm.datasets import generate_scene
from sapa_mm.engine.trained_model import load_trained
from sapa_mm.matting import inference_matting, make_trimap

from ..support.configs import A2U_MATTING, CONFIGS, MASK_RCNN, SEGFORMER, model_files


@pytest.fixture(scope='module')
def image():
    return np.ascontiguousarray(generate_scene(0, size=(128, 112)).image[..., ::-1])


@pytest.fixture(scope='module')
def model(tmp_path_factory):
    return load_trained(*model_files(tmp_path_factory.mktemp('model'), A2U_MATTING, 'sapa-d')).model


@pytest.fixture(autouse=True)
def own_scope(monkeypatch):
    """The hosts' functions set a scope for the rest of the process."""
    monkeypatch.setattr(DefaultScope, '_instance_dict', DefaultScope._instance_dict.copy())


def check_alpha(model, image, mask):
    """The alpha is the mask where that is further from its outline, and in between elsewhere."""
    trimap = make_trimap(mask, width=2)
    alpha = inference_matting(model, image, trimap)
    assert alpha.shape == trimap.shape == image.shape[:2]
    inside = mask.numpy()
    for known, value in ((trimap == 255, True), (trimap == 0, False)):
        assert known.sum() > 50
        assert (inside[known] == value).all()
        assert (alpha[known] == value).all()
    unknown = trimap == 128
    assert 0.01 < unknown.mean() < 0.9
    assert len(np.unique(alpha[unknown])) > 10


def test_class_of_a_segmentation(model, image):
    apis = pytest.importorskip('mmseg.apis')
    torch.manual_seed(0)
    segmentor = apis.init_model(str(CONFIGS / SEGFORMER.format('sapa-d')), device='cpu')
    labels = apis.inference_model(segmentor, image).pred_sem_seg.data[0]
    check_alpha(model, image, labels == labels.flatten().mode().values)


def test_instance_of_a_detector(model, image):
    apis = pytest.importorskip('mmdet.apis')
    torch.manual_seed(0)
    config = str(CONFIGS / MASK_RCNN.format('sapa-d'))
    detector = apis.init_detector(config, device='cpu', palette='random')
    masks = apis.inference_detector(detector, image).pred_instances.masks
    assert masks.dtype == torch.bool
    check_alpha(model, image, masks[masks.sum((1, 2)).argmax()])
    nothing = masks[:0].any(0)
    assert (inference_matting(model, image, make_trimap(nothing, width=2)) == 0).all()
