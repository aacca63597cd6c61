"""The main job on the generated scenes: two upsamplers in SegFormer, one table, one picture."""

import os

from mmengine.config import Config
from mmengine.registry import DATASETS

from ..datasets.writers import RECORD, write_scenes
from .comparison import format_table, train_and_measure
from .comparison_picture import draw_comparison

_CONFIGS = {
    'Bilinear': 'segformer_mit-tiny_bilinear_1xb8-300_scenes-128x128.py',
    'SAPA-D': 'segformer_mit-tiny_sapa-d_1xb8-300_scenes-128x128.py',
}


def run_demo(configs: str, data_root: str, out: str, cfg_options: dict | None = None) -> str:
    """Trains SegFormer with bilinear and with SAPA-D, same seed and schedule, and compares them.

    Args:
        configs (str): Folder of the SegFormer configs.
        data_root (str): Folder of the generated scenes; made where it is missing.
        out (str): Folder for ``table.md``, ``comparison.png`` and the work directories.
        cfg_options (dict, optional): Settings to override in both configs. Defaults to None.

    Returns:
        str: The table.
    """
    if not os.path.isfile(os.path.join(data_root, RECORD)):
        write_scenes(data_root)
    options = {f'{split}_dataloader.dataset.data_root': data_root for split in ('train', 'val')}
    options.update(cfg_options or {})
    models = {}
    for name, file in _CONFIGS.items():
        work_dir = os.path.join(out, 'work_dirs', name.lower())
        models[name] = train_and_measure(name, os.path.join(configs, file), work_dir, options)

    table = format_table(list(models.values()))
    with open(os.path.join(out, 'table.md'), 'w') as file:
        file.write(table + '\n')
    cfg = Config.fromfile(os.path.join(configs, _CONFIGS['SAPA-D']))
    cfg.merge_from_dict(options)
    picture = os.path.join(out, 'comparison.png')
    draw_comparison(
        {name: trained.model for name, trained in models.items()},
        kernels_of='SAPA-D',
        dataset=DATASETS.build(cfg.val_dataloader.dataset),
        index=0,
        path=picture,
    )
    print(f'\n{table}\n\nPicture: {picture}')
    return table
