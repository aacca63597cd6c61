"""Walking through configs, and steps that load labels."""

from fractions import Fraction

import pytest

from sapa_mm.utils.configs import loads_labels, type_name, without_labels, without_pipelines


def test_the_name_of_a_type():
    assert type_name('FPN') == type_name('mmdet.FPN') == 'FPN'
    assert type_name(Fraction) == type_name(str(Fraction)) == 'Fraction'
    assert type_name(None) == 'None'


LOAD, LABELS, PACK = ({'type': kind} for kind in ('LoadImage', 'LoadAnnotations', 'PackSegInputs'))
RESIZE = {'type': 'Resize', 'scale': (8, 4), 'keys': ()}


@pytest.mark.parametrize(
    ('pipeline', 'without'),
    [
        ([LOAD, RESIZE, LABELS, PACK], [LOAD, RESIZE, PACK]),
        ((LOAD, {'type': 'mmdet.LoadPanopticAnnotations'}), (LOAD,)),
        ([LOAD, {'type': Fraction}, {'type': 'LoadDepthAnnotation'}], [LOAD, {'type': Fraction}]),
        # A branch that only loads labels goes, one that has more stays.
        (
            [{'type': 'TestTimeAug', 'transforms': [[RESIZE], [LABELS], [LABELS, PACK]]}],
            [{'type': 'TestTimeAug', 'transforms': [[RESIZE], [PACK]]}],
        ),
    ],
)
def test_pipelines_that_load_labels(pipeline, without):
    assert loads_labels(pipeline)
    assert without_labels(pipeline) == without
    assert not loads_labels(without)
    assert without_labels(without) == without


def test_empty_annotations_are_none():
    assert not loads_labels([LOAD, {'type': 'LoadEmptyAnnotations'}])


def test_wrappers_without_pipelines():
    parts = [{'type': 'A', 'pipeline': [LOAD]}, {'type': 'Repeat', 'dataset': {'type': 'B'}}]
    dataset = {'type': 'ConcatDataset', 'datasets': parts}
    bare = without_pipelines(dataset)
    assert [part['pipeline'] for part in (bare['datasets'][0], bare['datasets'][1]['dataset'])] == [
        [],
        [],
    ]
    assert 'pipeline' not in bare
    assert parts[0]['pipeline'] == [LOAD]
