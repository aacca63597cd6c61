"""Parameters and multiply-adds of configs, beside what the paper prints."""

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial

from mmengine.config import Config
from mmengine.registry import MODELS

from ..engine.config import check_upsamplers, load_config
from ..reproduction.paper_notes import NOTES
from ..reproduction.paper_tables import PAPER_TABLES, PaperRow, PaperTable
from ..upsamplers import Upsampler
from .flops import count_flops
from .parameters import count_parameters

#: (H, W) of a detector's input before it is padded, the largest that COCO's configs resize to.
DETECTION_SHAPE = (800, 1333)


@dataclass(frozen=True)
class Cost:
    """What a config's model costs.

    Attributes:
        trainable (int): Trainable parameters.
        parameters (int): All parameters.
        upsamplers (int): Parameters of the upsamplers.
        shape (tuple[int, int]): (H, W) of the input that the multiply-adds are for.
        counted (int): Multiply-adds of the model, see :class:`~.flops.Flops`; of a detector those
            of the backbone and the neck: what follows depends on the proposals.
        upsamplers_counted (int): Those of the upsamplers in it.
        upsamplers_by_formula (int | None): The same by Table 1.
        note (str): Why the two differ, where they do.
    """

    trainable: int
    parameters: int
    upsamplers: int
    shape: tuple[int, int]
    counted: int
    upsamplers_counted: int
    upsamplers_by_formula: int | None
    note: str


@dataclass(frozen=True)
class Cell:
    """A printed figure and ours.

    Attributes:
        printed (str): As the paper has it; with a sign, it is an increment.
        value (float): Ours, in the paper's unit (million or billion).
        agrees (bool): Whether ours, rounded, is the printed figure.
        note (str): Why it does not, where that is known.
    """

    printed: str
    value: float
    agrees: bool
    note: str


@dataclass(frozen=True)
class ComplexityRow:
    """A config, its cost and what the paper says of it.

    Attributes:
        title (str): The upsampler and the backbone, or the config.
        config (str): Path of the config.
        cost (Cost): What it costs.
        cells (dict[str, Cell]): The paper's 'Params' and 'FLOPs', where it prints them. Defaults
            to none.
    """

    title: str
    config: str
    cost: Cost
    cells: dict[str, Cell] = field(default_factory=dict)


def measure_cost(config: str, shape: tuple[int, int] | None = None) -> Cost:
    """Builds a config's model, with random weights, and counts.

    Args:
        config (str): The config file.
        shape (tuple[int, int], optional): (H, W) of the input. Defaults to the config's crop for a
            segmentor, to ``DETECTION_SHAPE`` for a detector, which is padded as its config says.

    Returns:
        Cost: The cost.

    Raises:
        FileNotFoundError: If there is no such config.
        ValueError: If its model cannot be built, or not be run with an input of this shape, or
            ``sapa_ops`` has no compiled operators.
    """
    with _naming(config, AssertionError):
        cfg = load_config(config, None, None, 'none', 0)
    with _naming(config, Exception):
        check_upsamplers(cfg.model, 'model')
        _leave_out_weights(cfg.model)
        model = MODELS.build(cfg.model)
        is_detector = cfg.get('default_scope') == 'mmdet'
        run = model.extract_feat if is_detector else partial(model, mode='tensor')
        shape = _input_shape(cfg, shape, is_detector)
    with _naming(f'{config} with shape {shape[0]} {shape[1]}', Exception):
        flops = count_flops(model, run, (1, 3, *shape))
    return Cost(
        trainable=count_parameters(model),
        parameters=count_parameters(model, trainable_only=False),
        upsamplers=sum(
            count_parameters(module, trainable_only=False)
            for module in model.modules()
            if isinstance(module, Upsampler)
        ),
        shape=shape,
        counted=flops.counted,
        upsamplers_counted=flops.upsamplers,
        upsamplers_by_formula=flops.upsamplers_by_formula,
        note=flops.note,
    )


def measure_table(
    table: PaperTable, configs: str, shape: tuple[int, int] | None = None
) -> list[ComplexityRow]:
    """Measures all rows of one of the paper's tables.

    Args:
        table (PaperTable): The table.
        configs (str): Folder of the configs.
        shape (tuple[int, int], optional): See :func:`measure_cost`. FLOPs for another shape are
            not compared with the paper's.

    Returns:
        list[ComplexityRow]: Its rows.

    Raises:
        FileNotFoundError: If a config is missing.
        ValueError: See :func:`measure_cost`.
    """
    rows, first = [], {}
    for paper in table.rows:
        config = os.path.join(configs, paper.config)
        cost = measure_cost(config, shape)
        base = first.setdefault(paper.backbone, cost)
        printed = _printed(table, paper)
        cells = {
            column: _compare(table, paper, column, printed[column], value)
            for column, value in (
                ('Params', _parameters_of(cost, base, table) / 1e6),
                ('FLOPs', (cost.counted if cost is base else cost.upsamplers_by_formula) / 1e9),
            )
            if column in printed and (column == 'Params' or shape is None)
        }
        rows.append(
            ComplexityRow(
                title=paper.title,
                config=paper.config,
                cost=cost,
                cells=cells,
            )
        )
    return rows


@contextlib.contextmanager
def _naming(what: str, *errors: type[Exception]) -> Iterator[None]:
    """Says what an error is about: configs are Python, and their models may raise anything."""
    try:
        yield
    except errors as error:
        raise ValueError(f'{what}: {type(error).__name__}: {error}') from error


def _printed(table: PaperTable, paper: PaperRow) -> dict[str, str]:
    """The paper's figures for a row, with the increment that a caption has from another table."""
    if table.increments_of is None:
        return paper.figures
    params = next(
        other.figures['Params']
        for other in PAPER_TABLES[table.increments_of].rows
        if (other.upsampler, other.backbone) == (paper.upsampler, paper.backbone)
    )
    return {'Params': params, **paper.figures} if params.startswith('+') else paper.figures


def _parameters_of(cost: Cost, base: Cost, table: PaperTable) -> int:
    """As the table counts them: of the first row all, of others what they add to it."""
    own, first = (one.parameters if table.counts_frozen else one.trainable for one in (cost, base))
    return own if cost is base else own - first


def _compare(table: PaperTable, paper: PaperRow, column: str, printed: str, value: float) -> Cell:
    digits = len(printed.partition('.')[2])
    # '+0' stands in columns of one digit.
    agrees = round(value, max(digits, 1)) == float(printed)
    note = NOTES.get((table.number, paper.upsampler, column), '')
    return Cell(printed, value, agrees, note)


def _leave_out_weights(part: dict | list) -> None:
    """The counts need no pretrained weights."""
    if isinstance(part, dict):
        if isinstance(part.get('init_cfg'), dict) and part['init_cfg'].get('type') == 'Pretrained':
            part['init_cfg'] = None
        if isinstance(part.get('pretrained'), str):
            part['pretrained'] = None
    for child in part.values() if isinstance(part, dict) else part:
        if isinstance(child, (dict, list)):
            _leave_out_weights(child)


def _input_shape(cfg: Config, shape: tuple[int, int] | None, is_detector: bool) -> tuple[int, int]:
    preprocessor = cfg.model.get('data_preprocessor') or {}
    if not is_detector:
        if shape is None and preprocessor.get('size') is None:
            raise ValueError('shape: the config has no data_preprocessor.size, give the input size')
        return tuple(shape or preprocessor['size'])
    divisor = preprocessor.get('pad_size_divisor', 1)
    shape = shape or DETECTION_SHAPE
    return tuple(-(-side // divisor) * divisor for side in shape)
