import pytest
import torch
from mmengine.structures import BaseDataElement, PixelData

from sapa_mm.engine.finite_scores_hook import FiniteScoresHook


@pytest.mark.parametrize(
    ('key', 'said'),
    [
        ('seg_logits', 'scores of a.jpg'),
        ('pred_depth_map', 'depths of a.jpg'),
        ('pred_alpha', 'alpha of a.jpg'),
    ],
)
@pytest.mark.parametrize('value', [float('nan'), float('inf')])
def test_what_is_no_number_is_warned_of_once(monkeypatch, key, said, value):
    warnings = []
    monkeypatch.setattr('sapa_mm.utils.log._log', lambda text, _: warnings.append(text))
    sample = BaseDataElement(metainfo={'img_path': 'a.jpg'})
    data = torch.ones(1, 4, 4)
    sample.set_data({key: PixelData(data=data)})
    hook = FiniteScoresHook()
    hook.after_val_iter(None, 0, None, [sample])
    assert warnings == []
    data[0, 1, 1] = value
    for _ in range(2):
        hook.after_test_iter(None, 0, None, [sample])
    (text,) = warnings
    assert said in text
    assert 'means nothing' in text
