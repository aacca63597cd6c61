"""The training pipeline of A2U matting, step by step against its description, and as a whole."""

import math

import cv2
import numpy as np
import pytest

pytest.importorskip('mmcv')

from mmengine.registry import TRANSFORMS

from sapa_mm.matting import (
    CompositeFg,
    CropAroundUnknown,
    GenerateTrimap,
    JitterFg,
    MattingDataset,
    MergeFgAndBg,
    RandomFgAffine,
    ResizeFg,
)

from ..support.matting_data import save, write_plain

STEPS = ('LoadFgAndBg', 'CompositeFg', 'ResizeFg', 'RandomFgAffine', 'GenerateTrimap',
         'CropAroundUnknown', 'JitterFg', 'MergeFgAndBg', 'PackMattingInputs')  # fmt: skip


def seed(number=0):
    """Seed what the transforms draw from; return a generator of the same numbers."""
    np.random.seed(number)  # noqa: NPY002
    return np.random.RandomState(number)


def make_layers(height=40, width=50):
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:height, :width]
    alpha = ((15 - np.hypot(y - height / 2, x - width / 2)) * 60).clip(0, 255).astype(np.uint8)
    return dict(
        fg=rng.integers(0, 256, (height, width, 3), np.uint8),
        bg=rng.integers(0, 256, (30, 60, 3), np.uint8),
        alpha=alpha,
    )


class TestCompositeFg:
    def load(self, folder, other_alpha):
        """Layers, and another foreground of half their size."""
        layers = make_layers()
        other = layers['fg'][::2, ::2]
        save(folder / 'fg.png', other[..., ::-1])
        save(folder / 'alpha.png', other_alpha)
        paths = dict(
            other_fg_path=str(folder / 'fg.png'), other_alpha_path=str(folder / 'alpha.png')
        )
        return {**layers, **paths}, other.repeat(2, 0).repeat(2, 1)

    def test_against_the_formula(self, tmp_path):
        small = np.random.default_rng(1).choice([0, 1, 100, 255], (20, 25))
        layers, other = self.load(tmp_path, small)
        a1 = layers['alpha'][..., None] / 255
        a2 = small.repeat(2, 0).repeat(2, 1)[..., None] / 255
        alpha = 1 - (1 - a1) * (1 - a2)
        color = a1 * layers['fg'] + (1 - a1) * a2 * other
        out = CompositeFg(1.0)(dict(layers))
        np.testing.assert_allclose(out['alpha'], alpha[..., 0] * 255, atol=1e-4)
        # What a trimap is made of stays exact.
        assert ((out['alpha'] == 255) == (alpha[..., 0] == 1)).all()
        assert ((out['alpha'] == 0) == (alpha[..., 0] == 0)).all()
        seen = alpha[..., 0] > 0
        np.testing.assert_allclose(out['fg'][seen], (color / alpha.clip(1e-9))[seen], atol=0.51)
        assert not out['fg'][~seen].any()

    def test_nothing_left_of_the_background(self, tmp_path):
        layers, _ = self.load(tmp_path, np.full((20, 25), 255))
        out = CompositeFg(1.0)(dict(layers))
        assert out['fg'] is layers['fg']
        assert out['alpha'] is layers['alpha']

    def test_probability(self, tmp_path):
        layers, _ = self.load(tmp_path, np.zeros((20, 25)))
        seed()
        changed = sum(CompositeFg()(dict(layers))['fg'] is not layers['fg'] for _ in range(200))
        assert 80 < changed < 120


def test_resize():
    layers = make_layers()
    out = ResizeFg((80, 150), prob=1.0)(dict(layers))
    assert (out['fg'] == layers['fg'].repeat(2, 0).repeat(3, 1)).all()
    assert (out['alpha'] == layers['alpha'].repeat(2, 0).repeat(3, 1)).all()
    seed()
    changed = sum(ResizeFg()(dict(layers))['fg'].shape[0] == 640 for _ in range(200))
    assert 35 < changed < 65


class TestRandomFgAffine:
    @pytest.mark.parametrize('min_rotated_side', [50, 51])
    def test_moves_a_point_as_the_matrix_says(self, min_rotated_side):
        """Shear after rotation after scale after flips, about the centre."""
        transform = RandomFgAffine(min_rotated_side=min_rotated_side)
        y, x = np.mgrid[:40, :50]
        spot = np.hypot(x - 32, y - 14)
        layers = dict(fg=np.zeros((40, 50, 3), np.uint8), alpha=(255 * (spot < 3)).astype(np.uint8))
        for number in range(20):
            draw = seed(number).uniform
            out = transform(dict(layers))['alpha']
            angle = math.radians(draw(-30, 30)) if min_rotated_side == 50 else 0
            scale_x, scale_y = draw(0.8, 1.25, size=2)
            shear = math.radians(draw(-10, 10))
            flip_x, flip_y = (-1 if value < 0.5 else 1 for value in draw(size=2))
            u, v = (32 - 24.5) * scale_x * flip_x, (14 - 19.5) * scale_y * flip_y
            expected = (
                24.5 + u * math.cos(angle + shear) - v * math.sin(angle + shear),
                19.5 + u * math.sin(angle) + v * math.cos(angle),
            )
            rows, columns = np.nonzero(out)
            assert (columns.mean(), rows.mean()) == pytest.approx(expected, abs=1)
            assert set(np.unique(out)) == {0, 255}

    def test_layers_stay_together(self):
        layers = make_layers()
        layers['fg'] = layers['alpha'][..., None].repeat(3, 2)
        seed()
        out = RandomFgAffine(min_rotated_side=0)(dict(layers))
        assert (out['fg'] == out['alpha'][..., None]).all()
        assert not (out['alpha'] == layers['alpha']).all()

    def test_flips(self):
        """Nothing but flips, without a pixel of shift: each in a quarter of the cases."""
        layers = make_layers()
        transform = RandomFgAffine(0, (1, 1), 0)
        seed()
        counts = dict.fromkeys([(1, 1), (1, -1), (-1, 1), (-1, -1)], 0)
        for _ in range(200):
            out = transform(dict(layers))['fg']
            (found,) = [key for key in counts if (out == layers['fg'][:: key[0], :: key[1]]).all()]
            counts[found] += 1
        assert min(counts.values()) > 30


class TestGenerateTrimap:
    def test_against_a_literal_erosion(self):
        layers = make_layers()
        alpha = layers['alpha'].astype(np.float32)
        alpha[3, 3] = 254.9
        for number in range(6):
            sizes = seed(number).randint(2, 8, size=2)
            trimap = GenerateTrimap((2, 7))(dict(alpha=alpha))['trimap']
            assert trimap.dtype == np.uint8
            expected = np.full(alpha.shape, 128)
            for value, size in zip((255, 0), sizes, strict=True):
                ellipse = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (int(size), int(size)))
                around = np.argwhere(ellipse) - size // 2
                for row, column in np.argwhere(alpha == value):
                    places = around + (row, column)
                    inside = ((places >= 0) & (places < alpha.shape)).all(1)
                    if (alpha[tuple(places[inside].T)] == value).all():
                        expected[row, column] = value
            assert (trimap == expected).all()
            assert set(np.unique(trimap)) == {0, 128, 255}

    def test_size_1_leaves_what_is_known(self):
        alpha = make_layers()['alpha']
        trimap = GenerateTrimap((1, 1))(dict(alpha=alpha))['trimap']
        assert ((trimap == 255) == (alpha == 255)).all()
        assert ((trimap == 0) == (alpha == 0)).all()


class TestCropAroundUnknown:
    def crop(self, layers, size, number=0):
        """Crop layers whose values tell the place."""
        height, width = layers['alpha'].shape
        rows, columns = np.mgrid[:height, :width].astype(np.uint8)
        seed(number)
        return CropAroundUnknown(size)({**layers, 'fg': np.dstack([rows, columns, rows])})

    def layers(self, **options):
        layers = make_layers(**options)
        layers['trimap'] = GenerateTrimap((3, 3))(layers)['trimap']
        return layers

    @pytest.mark.parametrize('size', [16, (11, 20)])
    def test_an_unknown_pixel_is_in_the_middle(self, size):
        layers = self.layers()
        height, width = size if isinstance(size, tuple) else (size, size)
        corners = set()
        for number in range(20):
            out = self.crop(layers, size, number)
            for key, channels in (('fg', (3,)), ('bg', (3,)), ('alpha', ()), ('trimap', ())):
                assert out[key].shape == (height, width, *channels)
            assert out['trimap'][height // 2, width // 2] == 128
            top, left = out['fg'][0, 0, :2].tolist()
            corners.add((top, left))
            for key in ('alpha', 'trimap'):
                window = layers[key][top : top + height, left : left + width]
                assert (out[key] == window).all()
        assert len(corners) > 10

    def test_any_crop_where_little_is_unknown(self):
        layers = self.layers()
        layers['trimap'] = np.zeros_like(layers['trimap'])
        layers['trimap'][20, 20:29] = 128
        tops = {self.crop(layers, 16, number)['fg'][0, 0, 0] for number in range(40)}
        assert min(tops) < 5
        assert max(tops) > 19
        layers['trimap'][20, 29] = 128
        assert {self.crop(layers, 16, number)['fg'][0, 0, 0] for number in range(40)} == {12}

    def test_the_background_is_enlarged_only_if_it_is_smaller(self):
        layers = self.layers()
        out = self.crop(layers, 16)
        top, left = out['fg'][0, 0, :2].tolist()
        bg = cv2.resize(layers['bg'], (80, 40), interpolation=cv2.INTER_CUBIC)  # from 60 x 30
        assert (out['bg'] == bg[top : top + 16, left : left + 16]).all()
        layers['bg'] = np.random.default_rng(0).integers(0, 256, (90, 70, 3), np.uint8)
        out = self.crop(layers, 16)
        assert (out['bg'] == layers['bg'][top : top + 16, left : left + 16]).all()

    @pytest.mark.parametrize('size', [40, 64, (30, 50), (100, 20)])
    def test_small_foregrounds_are_enlarged(self, size):
        layers = self.layers()
        out = self.crop(layers, size)
        height, width = size if isinstance(size, tuple) else (size, size)
        assert out['bg'].shape == (height, width, 3)
        ratio = max(1.1 * height / 40, 1.1 * width / 50)
        assert len(np.unique(out['fg'][:, 0, 0])) == pytest.approx(height / ratio, abs=2)
        assert set(np.unique(out['alpha'])) <= set(np.unique(layers['alpha']))


class TestJitterFg:
    def test_against_the_formula(self):
        layers = make_layers()
        draw = seed()
        out = JitterFg()(dict(layers))['fg']
        hsv = cv2.cvtColor(layers['fg'].astype(np.float32) / 255, cv2.COLOR_BGR2HSV)
        hsv = hsv.astype(np.float64)
        hsv[..., 0] = (hsv[..., 0] + draw.randint(-40, 40)) % 360
        for channel in (1, 2):
            limit = (1.1 - hsv[..., channel][layers['alpha'] > 0].mean()) / 10
            values = np.abs(hsv[..., channel] + draw.uniform(-limit, limit))
            hsv[..., channel] = np.minimum(values, 2 - values)
        expected = cv2.cvtColor(hsv.astype(np.float32), cv2.COLOR_HSV2BGR) * 255
        np.testing.assert_allclose(out, expected, atol=0.01)
        assert np.abs(out - layers['fg']).mean() > 5

    def test_nothing_to_see(self):
        layers = make_layers()
        layers['alpha'] = layers['alpha'] * 0
        assert JitterFg()(dict(layers))['fg'] is layers['fg']


def test_merge():
    layers = make_layers()
    layers['bg'] = layers['fg'][::-1].astype(np.float32) + 20
    out = MergeFgAndBg()(dict(layers))
    alpha = layers['alpha'][..., None] / 255
    expected = alpha * layers['fg'] + (1 - alpha) * layers['bg'].clip(0, 255)
    np.testing.assert_allclose(out['img'], expected, atol=1e-3)
    assert out['img'].max() <= 255
    assert out['img_shape'] == (40, 50)


@pytest.mark.parametrize(
    ('kind', 'options', 'message'),
    [
        ('CompositeFg', dict(prob=1.5), 'prob must be in 0..1, got 1.5'),
        ('ResizeFg', dict(size=(640, 0)), r'size must be two positive integers, got \(640, 0\)'),
        ('RandomFgAffine', dict(scale_range=(1.2, 0.8)), r'scale_range must have .*\(1.2, 0.8\)'),
        ('RandomFgAffine', dict(degrees=-3), 'degrees must be in 0..180, got -3'),
        ('RandomFgAffine', dict(shear=90), 'shear must be from 0 to below 90, got 90'),
        ('RandomFgAffine', dict(flip_prob=-1), 'flip_prob must be in 0..1, got -1'),
        ('GenerateTrimap', dict(size_range=(0, 29)), r'size_range must be .* got \(0, 29\)'),
        ('CropAroundUnknown', dict(crop_size=(512, 0.5)), r'crop_size must be two .* 0.5\)'),
        ('JitterFg', dict(hue=0), 'hue must be a positive integer, got 0'),
    ],
)
def test_bad_options(kind, options, message):
    with pytest.raises(ValueError, match=f'{kind}: {message}'):
        TRANSFORMS.build(dict(type=kind, **options))


def test_pipeline(tmp_path):
    """Alpha, foreground, background and image satisfy the matting equation to 1e-6."""
    write_plain(tmp_path, size=(90, 80))
    steps = [dict(type=name) for name in STEPS]
    steps[2]['size'] = (100, 100)
    steps[3]['min_rotated_side'] = 0
    steps[5]['crop_size'] = 64
    dataset = MattingDataset(data_root=str(tmp_path), pipeline=steps)
    for step in dataset.pipeline.transforms:
        assert type(step).__name__ in repr(step)
    seed()
    values = set()
    for index in range(12):
        packed = dataset[index % 3]
        sample = packed['data_samples']
        alpha, fg, bg, image = (
            sample.get(field).data for field in ('gt_alpha', 'gt_fg', 'gt_bg', 'gt_merged')
        )
        assert (alpha * fg + (1 - alpha) * bg - image).abs().max() < 1e-6
        assert (packed['inputs'] / 255 - image).abs().max() < 1e-6
        trimap = sample.trimap.data
        assert (alpha[trimap == 255] == 1).all()
        assert (alpha[trimap == 0] == 0).all()
        values.update(trimap.unique().tolist())
        assert alpha.shape == trimap.shape == (1, 64, 64)
        assert fg.shape == bg.shape == image.shape == (3, 64, 64)
        assert sample.img_shape == (64, 64)
        assert sample.img_path == str(tmp_path / f'fg/f{index % 3}.png')
    assert values == {0, 128, 255}
