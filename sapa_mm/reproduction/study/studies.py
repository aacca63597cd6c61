"""What is studied, as data: rows of upsampler, options and seeds, on two sets of data."""

import math
import os
from dataclasses import dataclass, field
from typing import Any

from ...engine.config import read_config
from ..paper_tables import CONFIG_NAMES

_CAMVID = 'segformer/segformer_mobilenet-v2_{}_1xb8-1200_camvid-192x192.py'
_SCENES = 'segformer/segformer_mit-tiny_bilinear_1xb8-300_scenes-128x128.py'
#: Upsamplers with several seeds, which are compared with each other.
COMPARED = ('Bilinear', 'CARAFE', 'SAPA-B', 'SAPA-D')


@dataclass(frozen=True, eq=False)
class StudyRow:
    """A row of a study.

    Attributes:
        upsampler (str): The upsampler's title, such as 'SAPA-D'.
        seeds (tuple[int, ...]): The random seeds.
        variant (str): What distinguishes it from the upsampler's other rows. Defaults to nothing.
        upsample_cfg (dict): Options of the upsampler other than the published ones.
            Defaults to none.
        cfg_options (dict): Settings to override, with dotted keys. Defaults to none.
        length (float): Iterations, in multiples of the study's. Defaults to 1.
    """

    upsampler: str
    seeds: tuple[int, ...]
    variant: str = ''
    upsample_cfg: dict[str, Any] = field(default_factory=dict)
    cfg_options: dict[str, Any] = field(default_factory=dict)
    length: float = 1

    @property
    def title(self) -> str:
        """Its name in tables."""
        return ', '.join(filter(None, (self.upsampler, self.variant)))

    @property
    def name(self) -> str:
        """Its name in names of files."""
        words = self.variant.replace('√', 'root-').replace(' ', '-')
        return '_'.join(filter(None, (CONFIG_NAMES[self.upsampler], words)))

    @property
    def published_config(self) -> str:
        """The config with the upsampler's published settings for SegFormer."""
        return _CAMVID.format(CONFIG_NAMES[self.upsampler])

    def own_settings(self, configs: str) -> dict[str, Any]:
        """The settings that distinguish the row, its length left out.

        Args:
            configs (str): Folder of the configs.

        Returns:
            dict[str, Any]: All options of the upsampler as ``upsample_cfg``, and ``cfg_options``.
        """
        published = read_config(os.path.join(configs, self.published_config))
        upsample_cfg = {**published.model.decode_head.upsample_cfg, **self.upsample_cfg}
        return {'upsample_cfg': upsample_cfg, **self.cfg_options}


@dataclass(frozen=True, eq=False)
class Study:
    """A study: one model and one set of data with several upsamplers.

    Attributes:
        name (str): Its name in arguments and files.
        title (str): What it is about.
        config (str): The model with bilinear interpolation, relative to ``configs``; it tests on
            what the study reports.
        iterations (int): Training iterations of each row.
        rows (tuple[StudyRow, ...]): The rows.
        pictured (str): The test image whose predictions are kept, without suffix.
        generated (dict[str, int] | None): Numbers of images for the writer of generated scenes;
            None where the data is real. Defaults to None.
        cfg_options (dict): Settings to override, with dotted keys. Defaults to none.
    """

    name: str
    title: str
    config: str
    iterations: int
    rows: tuple[StudyRow, ...]
    pictured: str
    generated: dict[str, int] | None = None
    cfg_options: dict[str, Any] = field(default_factory=dict)

    @property
    def pairs(self) -> int:
        """The number of pairs of upsamplers with several seeds."""
        return math.comb(sum(len(row.seeds) > 1 for row in self.rows), 2)


def _rows(seeds: int, *others: str) -> tuple[StudyRow, ...]:
    compared = (StudyRow(upsampler, tuple(range(seeds))) for upsampler in COMPARED)
    return *compared, *(StudyRow(upsampler, (0,)) for upsampler in others)


def _faster(part: str) -> dict[str, Any]:
    """Ten times the learning rate for the parameters whose names contain a part."""
    return {'optim_wrapper.paramwise_cfg': dict(custom_keys={part: dict(lr_mult=10.0)})}


def _trials(upsampler: str, *trials: tuple[str, dict], **cfg_options) -> tuple[StudyRow, ...]:
    """The published settings and as many trials: of options, of learning rates, of length."""
    return (
        StudyRow(upsampler, (0,)),
        *(StudyRow(upsampler, (0,), variant, options) for variant, options in trials),
        *(StudyRow(upsampler, (0,), v.replace('_', ' '), {}, o) for v, o in cfg_options.items()),
        StudyRow(upsampler, (0,), 'twice as long', length=2),
    )


#: √32, by which attention divides the similarities of 32 channels.
_ROOT = 5.656854249492381
_STUDIES = (
    Study(
        name='scenes',
        title='a small SegFormer from scratch on generated scenes',
        config=_SCENES,
        iterations=1500,
        rows=_rows(
            5, 'Nearest', 'Deconv', 'PixelShuffle', 'FADE', 'A2U', 'IndexNet', 'SAPA-I', 'DySample'
        ),
        pictured='scene_50000000',
        generated=dict(num_train=1600, num_val=200),
    ),
    Study(
        name='camvid',
        title='SegFormer with a pretrained MobileNetV2 on CamVid',
        config=_CAMVID.format('bilinear'),
        iterations=1200,
        rows=(
            *_rows(3, 'FADE', 'DySample', 'Nearest'),
            # A ranking may only be one of speed of convergence.
            *(
                StudyRow(title, (0,), 'four times as long', length=4)
                for title in ('Bilinear', 'SAPA-D')
            ),
        ),
        # Of the images with all classes, that with the most of poles, signs and people.
        pictured='0001TP_009930',
    ),
    Study(
        name='why',
        title='trials of settings on generated scenes that the first study does not report',
        config=_SCENES,
        iterations=1500,
        rows=(
            StudyRow('Bilinear', (0,)),
            StudyRow('Bilinear', (0,), 'twice as long', length=2),
            *_trials(
                'SAPA-D',
                ('4 points', dict(num_points=4)),
                ('25 points', dict(num_points=25)),
                ('offsets start as a grid', dict(offset_init='grid')),
                ('offsets for each child', dict(shared_offset=False)),
                ('without pre_norm', dict(pre_norm=False)),
                ('temperature √d', dict(temperature=_ROOT)),
                faster_offsets=_faster('.offset'),
                faster_upsamplers=_faster('.upsamplers'),
            ),
            *_trials(
                'SAPA-B',
                ('kernel of 3', dict(kernel_size=3)),
                ('kernel of 7', dict(kernel_size=7)),
                ('16 channels', dict(embed_dims=16)),
                ('64 channels', dict(embed_dims=64)),
                ('4 groups', dict(groups=4)),
                ('without pre_norm', dict(pre_norm=False)),
                ('temperature √d', dict(temperature=_ROOT)),
                faster_upsamplers=_faster('.upsamplers'),
            ),
            *_trials(
                'CARAFE',
                ('kernel of 3', dict(up_kernel=3)),
                ('kernel of 7', dict(up_kernel=7)),
                ('16 channels', dict(compressed_channels=16)),
                ('32 channels', dict(compressed_channels=32)),
                ('128 channels', dict(compressed_channels=128)),
                ('encoder kernel of 1', dict(encoder_kernel=1)),
                ('4 groups', dict(up_group=4)),
                faster_upsamplers=_faster('.upsamplers'),
            ),
        ),
        pictured='',
        generated=dict(num_train=1600, num_val=400),
        cfg_options={f'{split}_dataloader.dataset.indices': -200 for split in ('val', 'test')},
    ),
)

#: All studies, by name.
STUDIES = {study.name: study for study in _STUDIES}
