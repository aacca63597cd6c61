"""Models, data and metrics of matting go together."""

import pytest

from ...support.matte_checks import TRAIN, VAL, notes, read, refuse, rewrite


@pytest.mark.parametrize(
    ('settings', 'message'),
    [
        ({'val_evaluator': {'_delete_': True, 'type': 'mmseg.IoUMetric'}},
         'val_evaluator: IoUMetric evaluates label maps, the model gives alpha mattes'),
        ({'model.data_preprocessor': {'type': 'ImgDataPreprocessor'}},
         'model.data_preprocessor: ImgDataPreprocessor does not join the trimap; take Matting'),
        ({'model.data_preprocessor': {'type': 'MattingDataPreprocessor', 'mean': [0.4] * 3}},
         'model.data_preprocessor.mean is [0.4, 0.4, 0.4], of colours in 0..1; images come in 0..'),
    ],
)  # fmt: skip
def test_what_does_not_go_together(mattes, settings, message):
    if 'mmseg' in str(settings):
        pytest.importorskip('mmseg')
    assert refuse(mattes, settings).startswith(message)


def test_metric_without_mattes(mattes):
    pipeline = read(mattes).val_dataloader.dataset.pipeline
    text = 'val_evaluator: MattingMetric needs alpha mattes, val_dataloader.dataset.pipeline loads '
    pipeline = [step for step in pipeline if step.type != 'LoadAlphaAnnotations']
    assert refuse(mattes, {f'{VAL}.pipeline': pipeline}) == f'{text}none; take LoadAlphaAnnotations'


def test_batches_of_several_sizes(mattes):
    two = {'val_dataloader.batch_size': 2}
    assert notes(mattes, two) == []
    for folder in ('merged', 'trimaps', 'alpha'):
        rewrite(mattes, f'test/{folder}', lambda image: image[:50], count=1)
    assert refuse(mattes, two) == (
        'val_dataloader.batch_size is 2, but images have several sizes, such as 64x50 '
        '(test/merged/0.png) and 64x64 (test/merged/1.png); 1 takes any'
    )


@pytest.mark.parametrize(
    ('settings', 'message'),
    [
        ({'model.data_preprocessor': {'type': 'MattingDataPreprocessor', 'bgr_to_rgb': False}},
         'model.data_preprocessor.bgr_to_rgb=False: images reach the model in BGR, pretrained '
         'weights are of RGB'),
        ({f'{VAL}.data_prefix.alpha_path': 'train/alpha'},
         f'{VAL} reads the mattes of {TRAIN}: its metrics are those of training data'),
    ],
)  # fmt: skip
def test_what_may_be_meant(mattes, settings, message):
    assert message in notes(mattes, settings)
