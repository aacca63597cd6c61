"""The tables of the study, as Markdown, from its small result files."""

import os
import re
import statistics
from collections.abc import Sequence

import numpy as np

from ...utils.files import check_writable, write_whole
from ...utils.text import markdown_table
from .comparisons import Interval, compare_all
from .pixel_counts import PixelCounts
from .studies import Study
from .study_pictures import draw_predictions, plot_costs
from .study_results import (
    Results,
    StudyResult,
    mean_of,
    read_results,
    seconds_per_iteration,
    titled,
)

_PART = r'(<!-- study: {} -->\n).*?(<!-- end -->)'


def make_tables(study: Study, results: Results, settings: str) -> dict[str, str]:
    """Make the tables of a study.

    Args:
        study (Study): The study.
        results (dict): The results by row and seed; see ``read_results``.
        settings (str): What all runs have in common.

    Returns:
        dict[str, str]: Markdown by name, each such as 'scenes results'; none without a result.
    """
    results = {row: by_seed for row, by_seed in results.items() if by_seed}
    if not results:
        return {}
    compared = {row.title: runs for row, runs in results.items() if len(row.seeds) > 1}
    test = _first(results).test
    tables = {'results': _results(results)}
    if compared:
        tables |= {
            'differences': _differences(compared, test),
            'classes': _classes(compared, test),
            'sequences': _sequences(compared, test),
        }
    tables |= {'curves': _curves(results), 'data': _data(settings)}
    return {f'{study.name} {name}': text for name, text in tables.items() if text}


def fill_in(page: str, tables: dict[str, str]) -> str:
    """Put tables into a page, between ``<!-- study: NAME -->`` and ``<!-- end -->``.

    Args:
        page (str): The page.
        tables (dict[str, str]): By name; those that the page has no place for are left out.

    Returns:
        str: The page.
    """
    for name, text in tables.items():
        pattern = _PART.format(re.escape(name))
        # The table may hold backslashes.
        page = re.sub(pattern, lambda m, t=text: f'{m[1]}{t}\n{m[2]}', page, flags=re.DOTALL)
    return page


def _first(results: Results) -> StudyResult:
    return next(iter(next(iter(results.values())).values()))


def _results(results: Results) -> str:
    measures = _first(results).test.measures
    base = _first(results)
    header = ['upsampler', 'seeds', *map(titled, measures), 'parameters', 's / iteration']
    header += ['ratio', 'memory, MB', 'hours each']
    rows = []
    for row, runs in results.items():
        run = next(iter(runs.values()))
        seconds = seconds_per_iteration(runs)
        memory = statistics.median(run.training.peak_memory for run in runs.values())
        ratio = seconds / seconds_per_iteration(next(iter(results.values())))
        rows.append(
            [
                row.title,
                len(runs) if len(row.seeds) > 1 else 'one run',
                *(mean_of(runs, measure).format(2) for measure in measures),
                f'{run.training.parameters:,}',
                f'{seconds:.3f}',
                f'{ratio:.2f}',
                f'{memory / 1e6:.0f}',
                f'{seconds * run.settings["iterations"] / 3600:.2f}',
            ]
        )
    devices = {run.training.device for runs in results.values() for run in runs.values()}
    iterations = base.settings['iterations']
    return (
        f'{markdown_table(header, rows)}\n\n{iterations:,} iterations. Measured on: '
        f'{"; ".join(sorted(devices))}.'
    )


def _differences(compared: dict[str, dict[int, StudyResult]], test: PixelCounts) -> str:
    by_measure = {measure: compare_all(compared, measure) for measure in test.measures}
    header = ['difference', 'of', 'points', '95 % over seeds', 'p (Holm)', '95 % over images']
    rows = [
        [
            f'{one.second} - {one.first}',
            titled(measure),
            f'{one.difference:+.2f}',
            _interval(one.over_seeds),
            f'{one.p:.3f}',
            _interval(one.over_images),
            'yes' if one.is_resolved else 'no',
        ]
        for measure, comparisons in by_measure.items()
        for one in comparisons
    ]
    return markdown_table([*header, 'resolved'], rows) if rows else ''


def _interval(interval: Interval) -> str:
    return f'{interval.low:+.2f} to {interval.high:+.2f}'


def _classes(compared: dict[str, dict[int, StudyResult]], test: PixelCounts) -> str:
    """The last measure, which is of the boundaries, for each class."""
    measure = test.measures[-1]
    columns = [
        np.mean([run.test.ious(measure) for run in runs.values()], axis=0)
        for runs in compared.values()
    ]
    rows = [
        [name, *(f'{value:.2f}' for value in values)]
        for name, *values in zip(test.classes, *columns, strict=True)
    ]
    return markdown_table([f'{titled(measure).removeprefix("m")} of', *compared], rows)


def _sequences(compared: dict[str, dict[int, StudyResult]], test: PixelCounts) -> str:
    images = dict.fromkeys(test.sequences, 0)
    for name, count in zip(test.sequences, test.images, strict=True):
        images[name] += count
    if len(images) < 2:
        return ''
    rows = [
        [
            f'{sequence}, {count} images',
            titled(measure),
            *(mean_of(runs, measure, sequence).format(2) for runs in compared.values()),
        ]
        for sequence, count in images.items()
        for measure in test.measures
    ]
    return markdown_table(['sequence', 'of', *compared], rows)


def _curves(results: Results) -> str:
    """The metrics of the validation set after each quarter of the training."""
    quarters = ['25 %', '50 %', '75 %', '100 %']  # see StudySettings
    rows = []
    for row, runs in results.items():
        for measure in _first(results).test.measures:
            key = 'mIoU' if measure == 'IoU' else measure
            curves = [
                [metrics[key] for _, metrics in sorted(run.validations.items())]
                for run in runs.values()
            ]
            means = np.mean(curves, axis=0)
            rows.append([row.title, titled(measure), *(f'{value:.2f}' for value in means)])
    return markdown_table(['upsampler', 'validation', *quarters], rows)


def _data(settings: str) -> str:
    """What the data and the pretrained weights were."""
    lines = [line.removeprefix('# ') for line in settings.splitlines() if line.startswith('# ')]
    return '\n'.join(f'- {line}' for line in lines)


def write_study(
    studies: Sequence[Study], folders: Sequence[str], configs: str, page: str | None = None
) -> tuple[str, list[str]]:
    """Write ``report.md``, ``cost.png`` and ``predictions.png`` to the first folder.

    Args:
        studies (Sequence[Study]): The studies.
        folders (Sequence[str]): Folders with results of all studies, such as those of several
            machines.
        configs (str): Folder of the configs.
        page (str, optional): A page in which the tables are replaced, see ``fill_in``; the pictures
            go to ``images`` beside it. Defaults to None.

    Returns:
        tuple[str, list[str]]: The report, and the files that were written.

    Raises:
        OSError: If a folder cannot be written to, or the page is missing.
        OtherSettings: See ``read_results``.
        ValueError: If there is no result, or a file is damaged.
    """
    results, tables = {}, {}
    for study in studies:
        found, settings = read_results(folders, study)
        if own := make_tables(study, found, settings):
            results[study] = found
            tables |= own
    if not results:
        raise ValueError(f'out: there are no results in {", ".join(folders)}')
    parts = []
    for study in results:
        parts.append(f'# {study.title}')
        parts += [
            f'## {name.removeprefix(study.name).strip()}\n\n{text}'
            for name, text in tables.items()
            if name.startswith(f'{study.name} ')
        ]
    text = '\n\n'.join(parts)
    report = os.path.join(folders[0], 'report.md')
    images = folders[0]
    check_writable(report, 'out')
    if page is not None:
        check_writable(page, 'page')
        with open(page, encoding='utf-8') as file:
            filled = fill_in(file.read(), tables)
        write_whole(page, filled)
        images = os.path.join(os.path.dirname(page), 'images')
    write_whole(report, text + '\n')
    pictures = [os.path.join(images, f'study_{name}.png') for name in ('cost', 'predictions')]
    pictured = {study: rows for study, rows in results.items() if study.pictured}
    plot_costs(pictured, pictures[0])
    draw_predictions(pictured, folders, configs, pictures[1])
    return text, [report, *([page] if page else []), *pictures]
