"""What is studied, as data: rows of upsampler, options and seeds, on two sets of data."""

from dataclasses import dataclass, field
from typing import Any

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
        words = self.variant.replace(' ', '-')
        return '_'.join(filter(None, (CONFIG_NAMES[self.upsampler], words)))

    @property
    def published_config(self) -> str:
        """The config with the upsampler's published settings for SegFormer."""
        return _CAMVID.format(CONFIG_NAMES[self.upsampler])


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


def _rows(seeds: int, *others: str) -> tuple[StudyRow, ...]:
    compared = (StudyRow(upsampler, tuple(range(seeds))) for upsampler in COMPARED)
    return *compared, *(StudyRow(upsampler, (0,)) for upsampler in others)


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
)

#: All studies, by name.
STUDIES = {study.name: study for study in _STUDIES}
