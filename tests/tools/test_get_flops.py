"""mmseg's and mmdet's own get_flops.py, which trace the model by torch.jit, take our models."""

import re
from pathlib import Path

import pytest

from sapa_mm.upsamplers import UPSAMPLERS

from ..support.run_tool import call_script
from ..support.tool_configs import MMDET, MMSEG, write_ade, write_coco, write_config

HOSTS = {
    'mmseg': (
        MMSEG,
        write_ade,
        'sapa_mm.segmentation',
        "decode_head=dict(type='UpsampleSegformerHead', upsample_cfg=dict(type={!r}))",
        ('--shape', 72, 104),
    ),
    'mmdet': (
        MMDET,
        write_coco,
        'sapa_mm.detection',
        "neck=dict(type='UpsampleFPN', upsample_cfg=dict(type={!r}))",
        ('--num-images', 1),
    ),
}
QUICK = ('sapa_d', 'dysample')


@pytest.mark.parametrize('host', HOSTS)
@pytest.mark.parametrize(
    'upsampler',
    [pytest.param(k, marks=() if k in QUICK else pytest.mark.extended) for k in UPSAMPLERS],
)
def test_get_flops(host, upsampler, tmp_path, capsys):
    tools = Path(pytest.importorskip(host).__file__).parent / '.mim' / 'tools'
    text, write_data, module, part, options = HOSTS[host]
    write_data(tmp_path / 'data', count=1)
    write_config(tmp_path / 'stock.py', text, tmp_path / 'data')

    def count(upsampler):
        config = tmp_path / f'{upsampler}.py'
        config.write_text(
            "_base_ = 'stock.py'\n"
            f"custom_imports = dict(imports=['{module}'], allow_failed_imports=False)\n"
            f'model = dict({part.format(upsampler)})\n'
        )
        try:
            assert not call_script(tools / 'analysis_tools' / 'get_flops.py', config, *options)
        except ValueError as error:
            if '"input_shape" and "inputs"' not in str(error):
                raise
            pytest.skip(f"upstream mmseg's tool does not fit mmengine: {error}")
        printed = capsys.readouterr().out
        number, unit = re.search(r'Flops: ([\d.]+)([KMG])', printed).groups()
        return float(number) * {'K': 1e3, 'M': 1e6, 'G': 1e9}[unit]

    # mmengine counts convolutions and matrix products, which these have none of.
    assert count(upsampler) > count('nearest') or upsampler in ('nearest', 'bilinear', 'sapa_i')
