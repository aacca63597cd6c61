"""The tables of the study, as Markdown, from its small result files."""

import os
import re
import statistics
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ...utils.files import check_writable, write_whole
from ...utils.text import markdown_table
from .comparisons import Interval, compare_all
from .studies import COMPARED, Study, StudyRow
from .study_pictures import draw_predictions, plot_costs
from .study_results import StudyRecord, mean_of, read_results, titled

_PLACE = re.compile(r'(<!-- study: (.*?) -->\n).*?(<!-- end -->)', re.DOTALL)


def make_tables(study: Study, record: StudyRecord) -> dict[str, str]:
    """Make the tables of a study.

    Args:
        study (Study): The study.
        record (StudyRecord): What is on record of it.

    Returns:
        dict[str, str]: Markdown by name, each such as 'scenes results'; none without a result.
    """
    if not record.results:
        return {}
    tables = {'results': _results(record)}
    if record.compared:
        tables |= {
            'differences': _differences(study, record),
            'classes': _classes(record),
            'sequences': _sequences(record),
        }
    tables |= {'curves': _curves(record), 'data': _data(record.settings)}
    return {f'{study.name} {name}': text for name, text in tables.items() if text}


def summarize(records: dict[Study, StudyRecord]) -> str:
    """Make one table of all studies: the upsamplers with several seeds, and what they cost."""
    compared = {study: record for study, record in records.items() if record.compared}
    header, columns = ['upsampler'], []
    for study, record in compared.items():
        # The means over all pixels, and over those at boundaries.
        for measure in (record.measures[0], record.measures[-1]):
            header.append(f'{study.name}: {titled(measure)}')
            means = {t: mean_of(runs, measure).format(2) for t, runs in record.compared.items()}
            columns.append(means)
        header.append('time of a step')
        columns.append({row.title: _ratio(record, row) for row in record.results})
    titles = dict.fromkeys(title for record in compared.values() for title in record.compared)
    rows = [[title, *(column.get(title, '') for column in columns)] for title in titles]
    return markdown_table(header, rows)


def _ratio(record: StudyRecord, row: StudyRow) -> str:
    """Time of a row's training step over that of bilinear interpolation, if that was measured."""
    base = next((record.seconds[one] for one in record.results if one.title == COMPARED[0]), None)
    return f'{record.seconds[row] / base:.2f}' if base else ''


def fill_in(page: str, tables: dict[str, str]) -> str:
    """Put tables into a page, between ``<!-- study: NAME -->`` and ``<!-- end -->``.

    Args:
        page (str): The page.
        tables (dict[str, str]): By name; those that the page has no place for are left out.

    Returns:
        str: The page; where it has a place for a table that there is not, nothing.
    """
    texts = {name: f'{text}\n' for name, text in tables.items()}
    return _PLACE.sub(lambda m: m[1] + texts.get(m[2], '') + m[3], page)


def _results(record: StudyRecord) -> str:
    header = ['upsampler', 'seeds', *map(titled, record.measures), 'parameters', 's / iteration']
    header += ['ratio', 'memory, MB', 'hours each']
    rows = []
    for row, runs in record.results.items():
        run = next(iter(runs.values()))
        own = statistics.median(run.training.seconds_per_iteration for run in runs.values())
        memory = statistics.median(run.training.peak_memory for run in runs.values())
        rows.append(
            [
                row.title,
                len(runs) if len(row.seeds) > 1 else 'one run',
                *(mean_of(runs, measure).format(2) for measure in record.measures),
                f'{run.training.parameters:,}',
                f'{record.seconds[row]:.3f}',
                _ratio(record, row),
                f'{memory / 1e6:.0f}',
                f'{own * run.settings["iterations"] / 3600:.2f}',
            ]
        )
    runs = [run for by_seed in record.results.values() for run in by_seed.values()]
    devices = '; '.join(sorted({run.training.device for run in runs}))
    return (
        f'{markdown_table(header, rows)}\n\n{runs[0].settings["iterations"]:,} iterations, '
        f'on: {devices}. Seconds of a training step of the whole model: {record.timing}. Hours: of '
        "a run's training steps."
    )


def _differences(study: Study, record: StudyRecord) -> str:
    header = ['difference', 'of', 'points', '95 % over seeds', 'p (Holm)', '95 % over images']
    rows = [
        [
            f'{one.second} - {one.first}',
            titled(measure),
            f'{one.difference:+.2f}',
            _interval(one.over_seeds),
            f'{one.p:.4f}',
            _interval(one.over_images),
            'yes' if one.is_resolved else 'no',
        ]
        for measure in record.measures
        for one in compare_all(record.compared, measure, study.pairs)
    ]
    return markdown_table([*header, 'resolved'], rows) if rows else ''


def _interval(interval: Interval) -> str:
    return f'{interval.low:+.2f} to {interval.high:+.2f}'


def _classes(record: StudyRecord) -> str:
    """The last measure, which is of the boundaries, for each class."""
    measure, runs = record.measures[-1], list(record.compared.values())
    columns = [np.mean([run.test.ious(measure) for run in one.values()], axis=0) for one in runs]
    classes = next(iter(runs[0].values())).test.classes
    rows = [
        [name, *(f'{value:.2f}' for value in values)]
        for name, *values in zip(classes, *columns, strict=True)
    ]
    return markdown_table([f'{titled(measure)} of', *record.compared], rows)


def _sequences(record: StudyRecord) -> str:
    test = next(iter(next(iter(record.compared.values())).values())).test
    images = dict.fromkeys(test.sequences, 0)
    for name, count in zip(test.sequences, test.images, strict=True):
        images[name] += count
    if len(images) < 2:
        return ''
    rows = [
        [
            f'{sequence}, {count} images',
            titled(measure),
            *(mean_of(runs, measure, sequence).format(2) for runs in record.compared.values()),
        ]
        for sequence, count in images.items()
        for measure in test.measures
    ]
    return markdown_table(['sequence', 'of', *record.compared], rows)


def _curves(record: StudyRecord) -> str:
    """The metrics of the validation set after each quarter of the training."""
    first = next(iter(next(iter(record.results.values())).values()))
    moments = sorted(first.validations)
    quarters = [f'{100 * moment / moments[-1]:.0f} %' for moment in moments]
    rows = []
    for row, runs in record.results.items():
        for measure in record.measures:
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
    studies: Sequence[Study], folders: Sequence[str], configs: str, pages: Sequence[str] = ()
) -> tuple[str, list[str]]:
    """Write ``report.md``, ``study_cost.png`` and ``study_predictions.png`` to the first folder.

    Args:
        studies (Sequence[Study]): The studies.
        folders (Sequence[str]): Folders with results of all studies, such as those of several
            machines.
        configs (str): Folder of the configs.
        pages (Sequence[str]): Pages in which the tables are replaced, see ``fill_in``; the pictures
            go to ``images`` beside the first instead. Defaults to none.

    Returns:
        tuple[str, list[str]]: The report, and the files that were written.

    Raises:
        OSError: If a folder is missing or cannot be written to, or a page is missing.
        OtherSettings: See ``read_results``.
        ValueError: If there is no result, a file is damaged, or a page has no place for a table.
    """
    records = {study: read_results(folders, study, configs) for study in studies}
    records = {study: record for study, record in records.items() if record.results}
    if not records:
        raise ValueError(f'out: there are no results in {", ".join(folders)}')
    parts, tables = [], {'summary': summarize(records)}
    for study, record in records.items():
        own = make_tables(study, record)
        tables |= own
        parts.append(f'# {study.title}')
        parts += [f'## {name.partition(" ")[2]}\n\n{text}' for name, text in own.items()]
    text = '\n\n'.join(parts)
    report = os.path.join(folders[0], 'report.md')
    check_writable(report, 'out')
    filled = {}
    for page in pages:
        if not os.path.isfile(page):
            raise FileNotFoundError(f'pages: {page} is not a file')
        check_writable(page, 'pages')
        old = Path(page).read_text(encoding='utf-8')
        if not _PLACE.search(old):
            raise ValueError(f'pages: {page} has no place for a table, <!-- study: NAME -->')
        filled[page] = fill_in(old, tables)
    for path, content in {report: text + '\n', **filled}.items():
        write_whole(path, content)
    images = os.path.join(os.path.dirname(pages[0]), 'images') if pages else folders[0]
    pictured = {study: record for study, record in records.items() if study.pictured}
    pictures = []
    if pictured:
        pictures = [os.path.join(images, f'study_{name}.png') for name in ('cost', 'predictions')]
        plot_costs(pictured, pictures[0])
        draw_predictions(pictured, folders, configs, pictures[1])
    return text, [report, *pages, *pictures]
