"""What a checkpoint says of its run is plain data, which torch loads without running code."""

import json

import numpy as np
import pytest
import torch
from mmengine.config import ConfigDict

from sapa_mm.engine.run_record_hook import RunRecordHook, plain

from ..support.tiny_run import build_runner

METAINFO = {
    'classes': list(np.array(['one', 'two'])),
    'palette': np.array([[1, 2, 3]]),
    'source': ConfigDict(lens={'kinds': [{'f': 1.5}, (1, ConfigDict(g=None))]}),
    'names': np.array([['a'], ['b']]),
    'read': json.loads,
}


def test_checkpoints_of_nested_metainfo(tmp_path):
    runner = build_runner(tmp_path, max_iters=3)
    runner.train_dataloader.dataset.metainfo = METAINFO
    runner.register_hook(RunRecordHook())
    runner.train()
    saved = torch.load(
        tmp_path / 'iter_3.pth', weights_only=False
    )  # the message hub's logs are mmengine's own objects
    for meta in (saved['meta'], saved['message_hub']['runtime_info']):
        meta = meta['dataset_meta']
        assert meta.pop('palette').tolist() == [[1, 2, 3]]
        assert repr(meta) == repr(
            {
                'classes': ['one', 'two'],
                'source': {'lens': {'kinds': [{'f': 1.5}, (1, {'g': None})]}},
                'names': [['a'], ['b']],
                'read': 'json.loads',
            }
        )
    assert (saved['meta']['processes'], saved['meta']['training_samples']) == (1, 12)


@pytest.mark.parametrize('value', [None, True, 1, 1.5, 'a', b'a', [], (), {}])
def test_plain_data_stays(value):
    assert repr(plain(value)) == repr(value)
