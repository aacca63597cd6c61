"""What pipelines make of mattes is looked at in a few samples."""

import pytest
from mmcv.transforms import BaseTransform
from mmengine.registry import TRANSFORMS

from ...support.matte_checks import TRAIN, VAL, lines_of, read, refuse, rewrite


@pytest.fixture
def own():
    """Registers a step that does what a test says."""

    class Own(BaseTransform):
        change = None

        def transform(self, results):
            type(self).change(results)
            return results

    TRANSFORMS.register_module('Own', module=Own)
    yield Own
    TRANSFORMS.module_dict.pop('Own')


def pipeline_of(root, key):
    return read(root)[key.partition('.')[0]].dataset.pipeline


def with_step(root, key, index, step):
    """The settings for a pipeline with one more step."""
    pipeline = pipeline_of(root, key)
    return {f'{key}.pipeline': [*pipeline[:index], step, *pipeline[index:]]}


@pytest.mark.parametrize(
    ('key', 'step', 'message'),
    [
        (TRAIN, {'type': 'RandomFlip', 'prob': 0.5}, f"{TRAIN}.pipeline.7: mmcv's RandomFlip moves "
         'the pixels of images, but not of trimaps and mattes'),
        (VAL, {'type': 'Resize', 'scale': (64, 64)}, f"{VAL}.pipeline.3: mmcv's Resize moves the "),
        (VAL, {'type': 'Normalize', 'mean': [0] * 3, 'std': [1] * 3}, 'Normalize comes before that '
         'of model.data_preprocessor; leave it out'),
    ],
)  # fmt: skip
def test_steps_of_mmcv(mattes, key, step, message):
    index = 7 if key == TRAIN else 3
    assert message in refuse(mattes, with_step(mattes, key, index, step))


@pytest.mark.parametrize(
    ('key', 'dropped', 'message'),
    [
        (TRAIN, 'LoadFgAndBg', 'CompositeFg needs fg; put LoadFgAndBg before it'),
        (TRAIN, 'GenerateTrimap', f'{TRAIN}.pipeline fails for train/fg/0.png: CropAroundUnknown '
         'needs trimap; put LoadTrimap or GenerateTrimap before it'),
        (TRAIN, 'MergeFgAndBg', 'PackMattingInputs needs img; put LoadMattingImage or MergeFgAnd'),
        (TRAIN, 'PackMattingInputs', 'pipeline: it gives no data_samples; end it with PackMatting'),
        (VAL, 'LoadMattingImage', f'{VAL}: LoadTrimap needs img; put LoadMattingImage or MergeFg'),
        (VAL, 'LoadTrimap', 'PackMattingInputs needs trimap; put LoadTrimap or GenerateTrimap bef'),
    ],
)  # fmt: skip
def test_steps_that_are_missing(mattes, key, dropped, message):
    steps = [step for step in pipeline_of(mattes, key) if step.type != dropped]
    assert message in refuse(mattes, {f'{key}.pipeline': steps})


@pytest.mark.parametrize(
    ('key', 'moved', 'after', 'message'),
    [
        (TRAIN, 'JitterFg', 'MergeFgAndBg', 'JitterFg must come before MergeFgAndBg: it changes fg,'
         ' of which img has been made'),
        (TRAIN, 'CropAroundUnknown', 'MergeFgAndBg', 'CropAroundUnknown must come before MergeFgA'),
        (TRAIN, 'CompositeFg', 'CropAroundUnknown', 'CompositeFg must come before GenerateTrimap: '
         'it changes alpha, of which trimap has been made'),
        (TRAIN, 'RandomFgAffine', 'JitterFg', 'RandomFgAffine must come before GenerateTrimap: '),
        (TRAIN, 'GenerateTrimap', 'CropAroundUnknown', 'CropAroundUnknown needs trimap; put Load'),
        (VAL, 'LoadMattingImage', 'LoadTrimap', 'LoadTrimap needs img; put LoadMattingImage or '),
    ],
)  # fmt: skip
def test_steps_in_another_order(mattes, key, moved, after, message):
    steps = pipeline_of(mattes, key)
    (step,) = [step for step in steps if step.type == moved]
    steps.remove(step)
    steps.insert([step.type for step in steps].index(after) + 1, step)
    assert message in refuse(mattes, {f'{key}.pipeline': steps})


def test_steps_for_other_data(mattes):
    assert refuse(mattes, {f'{TRAIN}.pipeline': pipeline_of(mattes, VAL)}) == (
        f'{TRAIN}: LoadTrimap needs trimap_path; MattingDataset gives it where its data_prefix has '
        'trimap_path'
    )


def test_no_crop_of_another_size(mattes):
    rewrite(mattes, 'train/bg', lambda image: image[:50])
    steps = [step for step in pipeline_of(mattes, TRAIN) if step.type != 'CropAroundUnknown']
    message = 'must have one size, got [(64, 64), (50, 64), (64, 64)]; put CropAroundUnknown before'
    assert message in refuse(mattes, {f'{TRAIN}.pipeline': steps})


def cut(*keys, first=64):
    """Cuts layers, of all images or of the first one."""

    def change(results):
        if first or results['img_path'].endswith('0.png'):
            for key in keys:
                results[key] = results[key][: first or 16]

    return change


def flip(key):
    def change(results):
        results[key] = results[key][::-1]

    return change


@pytest.mark.parametrize(
    ('key', 'change', 'message'),
    [
        (TRAIN, flip('img'), 'the image differs from alpha * fg + (1 - alpha) * bg by up to '),
        (TRAIN, flip('fg'), 'a step changes a layer after MergeFgAndBg: the image differs from'),
        (TRAIN, flip('trimap'), 'the trimap contradicts gt_alpha where it is known; a step chang'),
        (TRAIN, lambda results: results.update(img=results['img'] / 255), 'images must be in 0..2'),
        (TRAIN, cut('trimap', first=9),
         'trimap comes out as 32x9, its image as 32x32 (width x height) (train/fg/0.png)'),
        (TRAIN, lambda results: results.pop('fg'), 'the losses need gt_fg, it gives none; take '),
        (VAL, lambda results: results.update(alpha=results['alpha'] * 2.0), 'gt_alpha must be in '),
        (VAL, lambda results: results.update(trimap=results['trimap'] // 2 + 9),
         'a step mixes the values of the trimap, got 9; resize it by nearest'),
        (TRAIN, cut('img', 'trimap', 'alpha', 'fg', 'bg', first=0), 'images of a batch must have '
         'one size, they come out as 32x16 (train/fg/0.png) and 32x32 (train/fg/3.png); take Crop'),
        (VAL, cut('img', 'trimap', 'alpha', first=32),
         'the image comes out as 64x32, its file is 64x64 (width x height) (test/merged/0.png)'),
    ],
)  # fmt: skip
def test_steps_that_make_wrong_samples(mattes, own, key, change, message):
    own.change = staticmethod(change)
    index = 7 if key == TRAIN else 3
    assert message in refuse(mattes, with_step(mattes, key, index, {'type': 'Own'}))


def test_steps_of_ones_own_that_are_right(mattes, own):
    own.change = staticmethod(lambda results: None)
    settings = with_step(mattes, TRAIN, 7, {'type': 'Own'})
    assert [kind for kind, _ in lines_of(mattes, settings)] == ['right', 'right']
