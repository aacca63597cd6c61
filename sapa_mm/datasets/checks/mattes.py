"""Alpha mattes and trimaps as a pipeline loads them: what is wrong with one, or with all."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from ...utils.configs import type_name
from ...utils.text import first_of, one_line
from .loading import MOST_PIXELS, Header
from .matting_pipelines import DIFFERENT, find_matting_pipeline_problems, run_steps
from .report import ReportLine

#: So many maps that are all wrong in one way are no accident.
_MANY_MAPS = 8
#: As ``DIFFERENT``, but trimaps of other images lie above.
_OTHER_IMAGE = 0.2
#: What may be odd about mattes and trimaps.
_EMPTY = 'mattes', 'show no foreground, their alpha is 0 everywhere'
_HARD = 'mattes', 'have no alpha between 0 and 255: masks teach no soft edges'
_KNOWN = 'trimaps', 'have no unknown pixel: nothing is predicted, all metrics are 0'
_UNKNOWN = 'trimaps', 'have no known pixel: nothing tells what the foreground is'
_NEARLY_KNOWN = (
    'trimaps',
    'have a tenth or more of pixels close to 0 or 255, which count as unknown: save them as PNG, '
    'not as JPEG',
)
_CONTRARY = 'trimaps', 'contradict the alpha where they are known: are they of other images?'


class MatteSample:
    """Images of a matting data set with their maps, opened by the loading steps of its pipeline.

    Args:
        dataset (MattingDataset): The dataset.
        config (dict): Its config.
        name (str): The key of the config.

    Attributes:
        unopened (list[str]): Images that were not opened.
        channels (dict[int, list[int]]): Nothing: all images are read in three channels.
        with_annotations (bool): Whether mattes were seen.
    """

    def __init__(self, dataset: Any, config: dict, name: str) -> None:
        self._dataset, self._config, self._name = dataset, config, name
        steps = config.get('pipeline') or []
        self._steps = [one for one in steps if type_name(one['type']).startswith('Load')]
        self._crop = next((one['crop_size'] for one in steps if one.get('crop_size')), 0)
        self._odd: dict[tuple, list[str]] = defaultdict(list)
        self._values: dict[int, str] = {}
        self._counts = dict.fromkeys(('mattes', 'trimaps', 'foregrounds'), 0)
        self._soft: list[float] = []
        self._unknown: list[float] = []
        self._contrast: list[float] = []
        self._small: list[str] = []
        self._turned: list[str] = []
        self.unopened: list[str] = []
        self.channels: dict[int, list[int]] = {}
        self.with_annotations = False

    def open(self, index: int) -> Iterator[str]:
        """Open an image and its maps, and find what is wrong with them."""
        info = self._dataset.get_data_info(index)
        paths = {path: Header.read(path) for key, path in info.items() if key.endswith('_path')}
        first = next(iter(paths))
        if not self._steps or any(
            header.size[0] * header.size[1] > MOST_PIXELS for header in paths.values()
        ):
            self.unopened.append(first)
            return
        try:
            trimap = self._read_trimap(info)
            results = run_steps(self._dataset, self._steps, index)
            background = results.get('bg_path')
            for path in [*paths, *([background] if background else [])]:
                Header.read(path).check_whole(path)
        except Exception as error:
            own = isinstance(error, ValueError)  # names the file
            yield str(error) if own else f'{first} cannot be read: {one_line(error)}'
            return
        self._turned += [first] * (paths[first].orientation != 1)
        if 'fg' in results:
            self._counts['foregrounds'] += 1
            if (np.array(results['fg'].shape[:2]) <= self._crop).any():
                self._small.append(first)
        if 'alpha' in results:
            self.with_annotations = True
            yield from self._add_alpha(results['alpha_path'], results['alpha'])
        if 'trimap' in results and trimap is not None:
            self._add_trimap(results['trimap_path'], trimap, results.get('alpha'))

    def _add_alpha(self, path: str, alpha: np.ndarray) -> Iterator[str]:
        self._counts['mattes'] += 1
        if not alpha.any():
            self._odd[_EMPTY].append(path)
        elif alpha.max() <= 1:
            yield f'{path} has no value above {alpha.max():.3g}, alpha goes from 0 to 255'
        soft = float(np.mean((alpha > 0) & (alpha < 255)))
        self._soft.append(soft)
        if not soft and alpha.any():
            self._odd[_HARD].append(path)

    def _read_trimap(self, info: dict) -> np.ndarray | None:
        """Read a trimap as it is stored, if there is one."""
        from ...matting.matting_files import read_gray
        from ...matting.trimap import named_values

        if 'trimap_path' not in info:
            return None
        trimap = read_gray(info['trimap_path'])
        named_values.update(np.unique(trimap).tolist())  # here they are named
        return trimap

    def _add_trimap(self, path: str, trimap: np.ndarray, alpha: np.ndarray | None) -> None:
        from ...matting.trimap import is_nearly_known, is_unknown

        self._counts['trimaps'] += 1
        known = ~is_unknown(trimap)
        self._unknown.append(1 - float(known.mean()))
        for value in np.setdiff1d(trimap[~known], 128).tolist():
            self._values.setdefault(value, path)
        if is_nearly_known(trimap).mean() >= 0.1:
            self._odd[_NEARLY_KNOWN].append(path)
        elif known.all() or not known.any():
            self._odd[_KNOWN if known.all() else _UNKNOWN].append(path)
        if alpha is None or not known.any():
            return
        difference = np.abs(trimap[known].astype(np.float32) - alpha[known])
        self._contrast.append(float(difference.mean()) / 255)
        if self._contrast[-1] > DIFFERENT:
            self._odd[_CONTRARY].append(path)

    @property
    def description(self) -> str:
        """How much of the mattes is soft, and of the trimaps unknown; '' without any."""
        shares = [('soft edges', self._soft), ('unknown', self._unknown)]
        texts = [f'{np.mean(all_):.0%} of the pixels are {what}' for what, all_ in shares if all_]
        return ', '.join(texts)

    def summarize(self, is_complete: bool) -> Iterator[ReportLine]:
        """Tell what is seen in all images together."""
        if self.unopened:
            why = 'no step of the pipeline loads them'
            if self._steps:
                why = f'they have more than {MOST_PIXELS // 10**6} megapixels'
            text = f'{len(self.unopened)} images were not opened, {why}: {first_of(self.unopened)}'
            yield ReportLine('note', f'{self._name}: {text}')
        yield from self.summarize_truth(is_complete)

    def summarize_truth(self, is_complete: bool) -> Iterator[ReportLine]:
        """Tell what is odd in all mattes and trimaps together.

        Args:
            is_complete (bool): Whether all of the data set were opened.

        Yields:
            ReportLine: An error if there is nothing to learn or to predict, or a note.
        """
        from ...matting.trimap import is_nearly_known

        for odd, paths in self._odd.items():
            (maps, text), number = odd, len(paths)
            count = self._counts[maps]
            if odd == _CONTRARY:
                is_wrong = np.median(self._contrast) > _OTHER_IMAGE
            else:
                is_wrong = odd not in (_HARD, _UNKNOWN) and number == count >= _MANY_MAPS
            if odd != _HARD or number == count:
                some = f'{number:,} of ' * (number < count) + f'the {count:,} {maps} opened'
                kind = 'error' if is_wrong else 'note'
                yield ReportLine(kind, f'{self._name}: {some} {text} (such as {paths[0]})')
        if self._values:
            values = first_of(sorted(self._values), 6)
            path = self._values[min(self._values)]
            text = f'trimaps have the values {values} beside 0, 128 and 255 (such as {path}); they '
            text += 'count as unknown'
            if is_nearly_known(np.array(list(self._values))).any():
                text += ', those close to 0 and 255, too: JPEG makes them, save trimaps as PNG'
            yield ReportLine('note', f'{self._name}: {text}')
        if 2 * len(self._small) > self._counts['foregrounds']:
            text = f'{len(self._small):,} of {self._counts["foregrounds"]:,} foregrounds opened are'
            text += f' not larger than crop_size={self._crop} (such as {self._small[0]}); they are'
            yield ReportLine('note', f'{self._name}: {text} enlarged')
        if self._turned:
            text = f'{len(self._turned):,} images are turned by their EXIF orientation when they '
            text += f'are read (such as {self._turned[0]}); their mattes must fit the upright ones'
            yield ReportLine('note', f'{self._name}: {text}')

    def find_truth_problems(self, indices: Sequence[int], model: Any) -> Iterator[ReportLine]:
        """Send a few images through the whole pipeline; see ``find_matting_pipeline_problems``."""
        yield from find_matting_pipeline_problems(
            self._config, self._name, self._dataset, indices[:_MANY_MAPS], model
        )
