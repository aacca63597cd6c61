"""Models, data and metrics of depth go together, those of labels too, and not across."""

import numpy as np
import pytest
from PIL import Image

pytest.importorskip('mmseg')

from mmengine.config import Config
from mmseg.models import EncoderDecoder

from sapa_mm.datasets.checks import check_data, inspect_data
from sapa_mm.engine.config import in_scope

from ...support.tool_configs import DEPTH, MMSEG, write_ade, write_config, write_nyu

SEGFORMER = {'type': 'SegformerHead', 'in_channels': [8, 16, 16, 16], 'in_index': [0, 1, 2, 3],
             'channels': 8, 'num_classes': 27}  # fmt: skip

NO_TRUTH = [{'type': 'LoadImageFromFile'}, {'type': 'PackSegInputs'}]


@pytest.fixture
def cfg(tmp_path):
    write_nyu(tmp_path / 'nyu')
    return Config.fromfile(write_config(tmp_path / 'config.py', DEPTH, tmp_path / 'nyu'))


@pytest.fixture
def labels(tmp_path):
    """The config of a segmentor."""
    write_ade(tmp_path / 'ade')
    return Config.fromfile(write_config(tmp_path / 'labels.py', MMSEG, tmp_path / 'ade'))


def refuse(cfg, *splits):
    """The line with which a run is refused; it is one of the report, too."""
    with in_scope(cfg):
        with pytest.raises(ValueError, match='model|metric|_evaluator|pipeline') as error:
            check_data(cfg, splits or ('train', 'val'))
        assert str(error.value) in [line.text for line in inspect_data(cfg) if line.kind == 'error']
    return str(error.value)


def notes(cfg):
    with in_scope(cfg):
        lines = list(inspect_data(cfg))
    assert 'error' not in {line.kind for line in lines}
    return [line.text for line in lines if line.kind == 'note']


@pytest.mark.parametrize(
    ('key', 'value', 'message'),
    [
        ('model.data_preprocessor.seg_pad_val', 255,
         'model.data_preprocessor.seg_pad_val is 255, must be 0 with depth maps: 255 would be '
         'taken for a depth'),
        ('model.type', 'EncoderDecoder',
         'val_evaluator: MonocularDepthMetric evaluates depth maps, the model gives label maps'),
        ('model.decode_head', {'_delete_': True, **SEGFORMER},
         'model.decode_head: SegformerHead gives label maps, the model depth maps; take '
         'UpsampleDenseDepthHead'),
        ('val_evaluator', {'_delete_': True, 'type': 'IoUMetric'},
         'val_evaluator: IoUMetric evaluates label maps, the model gives depth maps'),
        ('val_evaluator', {'_delete_': True, 'type': 'DepthMetric', 'depth_metrics': ['d1']},
         'val_evaluator.depth_metrics: DepthMetric of mmseg fails with it; leave it out, or take '
         'MonocularDepthMetric'),
        ('val_evaluator.min_depth_eval', 20, 'val_evaluator: ValueError: MonocularDepthMetric: 0 '),
        ('val_evaluator', {'_delete_': True, 'type': 'DepthMetric', 'max_depth_eval': 'ten'},
         "val_evaluator.max_depth_eval must be a number, got 'ten'"),
        ('model.decode_head.loss_decode', {'_delete_': True, 'type': 'CrossEntropyLoss'},
         'model.decode_head.loss_decode: CrossEntropyLoss is for label maps; take SigLoss'),
        ('train_dataloader.dataset.pipeline', [{'type': 'LoadImageFromFile'}],
         'pipeline: it gives no data_samples; end it with PackSegInputs'),
        ('val_dataloader.dataset.pipeline', NO_TRUTH,
         'val_evaluator: MonocularDepthMetric needs depth maps, val_dataloader.dataset.pipeline '),
        ('train_dataloader.dataset.pipeline.1.type', 'LoadAnnotations',
         'pipeline: LoadAnnotations does not load the depth maps of NYUDataset'),
        ('train_dataloader.dataset.pipeline', NO_TRUTH,
         'pipeline: the model learns from depth maps, it loads none; take LoadDepthAnnotation'),
        ('val_evaluator.crop_type', 'nyu_crop',
         'test/0.png is 64x64, val_evaluator.crop_type=nyu_crop is for 640x480 alone (width x hei'),
        ('model.decode_head.max_depth', 2, 'are above model.decode_head.max_depth, 2: they are 2 '),
    ],
)  # fmt: skip
def test_what_does_not_go_together(cfg, key, value, message):
    cfg.merge_from_dict({key: value})
    assert message in refuse(cfg)


def test_depth_head_in_a_segmentor(cfg):
    cfg.model.type = 'EncoderDecoder'
    cfg.val_evaluator = {'type': 'IoUMetric'}
    assert refuse(cfg) == (
        'model.decode_head: UpsampleDenseDepthHead gives depth maps, the model label maps; take '
        'model.type FlipDepthEstimator'
    )


def test_padding_matters_in_training_alone(cfg):
    cfg.model.data_preprocessor.pop('seg_pad_val')
    with in_scope(cfg):
        check_data(cfg, ['test'])
    assert 'seg_pad_val is 255 by default, must be 0' in refuse(cfg)


def test_labels_for_a_model_of_depth(cfg, labels):
    cfg.train_dataloader = labels.train_dataloader
    assert refuse(cfg).endswith(
        'the model learns from depth maps, it loads label maps; take LoadDepthAnnotation, and data '
        'to match'
    )


def test_depth_for_a_segmentor(cfg, labels):
    labels.train_dataloader = cfg.train_dataloader
    assert refuse(labels).endswith(
        'the model learns from label maps, it loads depth maps; take LoadAnnotations, and data to '
        'match'
    )


def test_depth_step_on_label_maps(labels):
    labels.train_dataloader.dataset.pipeline[1] = {'type': 'LoadDepthAnnotation'}
    assert refuse(labels).endswith(
        'LoadDepthAnnotation does not load the label maps of ADE20KDataset'
    )


def test_loss_of_mmseg_for_depth(cfg):
    cfg.model.decode_head.loss_decode = [{'type': 'SiLogLoss'}, {'type': 'SigLoss'}]
    assert notes(cfg) == []


def test_models_of_somebody_else_pass(cfg):
    """They may learn from anything."""

    class Own(EncoderDecoder):
        pass

    Own.__module__ = 'somewhere'
    cfg.model.type = Own
    cfg.model.data_preprocessor.seg_pad_val = 255
    assert notes(cfg) == []


def test_eigen_crop_on_images_of_its_size(cfg, tmp_path):
    for path in (tmp_path / 'nyu').glob('*/test/*'):
        Image.open(path).resize((640, 480), Image.Resampling.NEAREST).save(path)
    cfg.val_evaluator.crop_type = 'nyu_crop'
    assert notes(cfg) == []


def test_metric_beyond_the_model(cfg):
    cfg.val_evaluator.max_depth_eval = 80
    (note,) = notes(cfg)
    assert note == (
        'val_evaluator.max_depth_eval is 80, model.decode_head.max_depth 10: the model reaches no '
        'depth between them'
    )


def test_depths_of_an_unknown_head(cfg, tmp_path):
    """Without a range to compare with, the report gives that of the data."""
    cfg.model.decode_head = {'type': 'Unheard'}
    for path in (tmp_path / 'nyu').glob('annotations/*/*'):
        Image.fromarray(np.asarray(Image.open(path)) // 100).save(path)
    with in_scope(cfg):
        lines = list(inspect_data(cfg))
    assert {line.kind for line in lines} == {'right'}
    assert all('depth 0.02 to 0.04 m' in line.text for line in lines)


def test_validation_on_the_training_images(cfg):
    cfg.val_dataloader.dataset.data_prefix = cfg.train_dataloader.dataset.data_prefix
    (note,) = notes(cfg)
    assert note.endswith('its metrics are those of training data')
