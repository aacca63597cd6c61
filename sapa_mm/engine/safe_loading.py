"""Importing this module makes mmengine load checkpoints safely in this process.

It is meant for tools of other projects: a config that imports it runs and resumes with mmseg's and
mmdet's own ``train.py`` and any version of torch::

    custom_imports = dict(imports=['sapa_mm.segmentation', 'sapa_mm.engine.safe_loading'])

See ``sapa_mm.engine.install_safe_loading``.
"""

from .checkpoint import install_safe_loading

install_safe_loading()
