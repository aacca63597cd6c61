"""The metric on generated scenes, from predicted maps to PQ, and to files and back."""

import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

pytest.importorskip('mmengine')

from mmengine.registry import METRICS

from sapa_mm.datasets import CLASSES, THING_CLASSES, generate_scene, id2rgb, write_scenes
from sapa_mm.datasets.scenes.folder import VALIDATION_START
from sapa_mm.evaluation import PanopticMetric
from sapa_mm.utils.coco_panoptic import read_id_map, write_id_map

from . import slow_panoptic

SIZE = (40, 56)
IDS = range(VALIDATION_START, VALIDATION_START + 5)
VOID = len(CLASSES)


@pytest.fixture(scope='module')
def root(tmp_path_factory):
    root = tmp_path_factory.mktemp('scenes')
    write_scenes(root, num_train=1, num_val=len(IDS), size=SIZE)
    return root


def paths(root):
    return dict(
        ann_file=str(root / 'annotations' / 'panoptic_validation.json'),
        seg_prefix=str(root / 'panoptic' / 'validation'),
    )


def make_metric(root, **options):
    metric = PanopticMetric(**{**paths(root), **options})
    metric.dataset_meta = dict(classes=CLASSES, thing_classes=THING_CLASSES)
    return metric


def perfect(index):
    """What mmdet would predict: label + instance * 1000, label alone for stuff."""
    scene = generate_scene(index, 0, SIZE)
    values = np.full(SIZE, VOID)
    for instance, segment in enumerate(scene.segments, 1):
        label = segment.category_id - 1
        is_thing = label < len(THING_CLASSES)
        values[scene.mask(segment)] = label + (1000 * instance if is_thing else 0)
    return values


def disturbed(index):
    """Shifted, with holes, one class taken for another."""
    values = np.roll(perfect(index), (2, 1), (0, 1))
    rng = np.random.default_rng(index)
    values[rng.random(SIZE) < 0.1] = VOID
    values[values % 1000 == 2] += 1
    return values


def samples(predict, ids=IDS):
    return [
        {
            'img_id': index,
            'img_path': f'somewhere/scene_{index:08d}.jpg',
            'pred_panoptic_seg': {'sem_seg': torch.from_numpy(predict(index))[None].int()},
        }
        for index in ids
    ]


def measure(metric, predictions, batch=2):
    for start in range(0, len(predictions), batch):
        metric.process({}, predictions[start : start + batch])
    return metric.evaluate(len(IDS))


def slowly(root, predict):
    """PQ, SQ, RQ of all classes from the files, by the slow implementation."""
    with open(paths(root)['ann_file']) as file:
        annotations = json.load(file)['annotations']
    total = np.zeros((len(CLASSES), 4))
    for entry in annotations:
        png = np.array(Image.open(root / 'panoptic' / 'validation' / entry['file_name']), int)
        truth = png[..., 0] + 256 * png[..., 1] + 65536 * png[..., 2]
        truth_info = [(s['id'], s['category_id'] - 1, s['iscrowd']) for s in entry['segments_info']]
        values = predict(entry['image_id'])
        prediction = np.where(values % 1000 == VOID, 0, values + 1)
        info = [(v + 1, v % 1000, 0) for v in np.unique(values).tolist() if v % 1000 != VOID]
        total += slow_panoptic.count(
            truth.tolist(), truth_info, prediction.tolist(), info, len(CLASSES)
        )
    return total


def test_perfect_predictions_are_exactly_100(root):
    metrics = measure(make_metric(root), samples(perfect))
    assert set(metrics.values()) == {100}
    kinds = {'PQ', 'SQ', 'RQ'}
    names = kinds | {f'{kind}_th' for kind in kinds} | {f'{kind}_st' for kind in kinds}
    assert metrics.keys() == {f'coco_panoptic/{name}' for name in names}


def test_against_the_slow_implementation(root):
    metrics = measure(make_metric(root, classwise=True, prefix='own'), samples(disturbed))
    counts = slowly(root, disturbed)
    things = len(THING_CLASSES)
    for suffix, part in (('', counts), ('_th', counts[:things]), ('_st', counts[things:])):
        expected = slow_panoptic.quality(part.tolist())
        found = [metrics[f'own/{kind}{suffix}'] for kind in ('PQ', 'SQ', 'RQ')]
        assert found == pytest.approx(expected, abs=1e-9)
        assert 0 < found[0] < 100
    for name, row in zip(CLASSES, counts.tolist(), strict=True):
        expected = slow_panoptic.quality([row])
        found = [metrics[f'own/{name}_{kind}'] for kind in ('PQ', 'SQ', 'RQ')]
        assert found == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize('workers', [1, 3])
def test_threads_change_nothing(root, workers):
    expected = measure(make_metric(root), samples(disturbed))
    before = threading.active_count()
    assert measure(make_metric(root, num_workers=workers), samples(disturbed), 1) == expected
    assert threading.active_count() == before


def test_a_second_evaluation_starts_anew(root):
    metric = make_metric(root)
    first = measure(metric, samples(disturbed))
    assert measure(metric, samples(perfect))['coco_panoptic/PQ'] == 100
    assert measure(metric, samples(disturbed)) == first


def test_images_that_a_sampler_repeats_count_once(root):
    """Distributed samplers fill the last batch with images from the start."""
    repeated = samples(disturbed) + samples(perfect, IDS[:1])
    expected = measure(make_metric(root), samples(disturbed))
    assert measure(make_metric(root), repeated) == expected


def test_files_can_be_read_back(root, tmp_path):
    expected = measure(make_metric(root, outfile_prefix=str(tmp_path / 'out')), samples(disturbed))
    with open(tmp_path / 'out.panoptic.json') as file:
        content = json.load(file)
    assert [image['id'] for image in content['images']] == list(IDS)
    for entry in content['annotations']:
        ids = read_id_map(str(tmp_path / 'out.panoptic' / entry['file_name']))
        values = disturbed(entry['image_id'])
        assert np.array_equal(ids > 0, values % 1000 != VOID)
        for segment in entry['segments_info']:
            mask = ids == segment['id']
            assert len(np.unique(values[mask])) == 1
            assert values[mask][0] % 1000 == segment['category_id'] - 1
            assert segment['area'] == mask.sum()
            x, y, width, height = segment['bbox']
            assert mask[y : y + height, x : x + width].sum() == segment['area']
            assert mask[y].any()
            assert mask[:, x + width - 1].any()
    # Used as the truth, it matches itself, and matching is symmetric.
    own = dict(
        ann_file=str(tmp_path / 'out.panoptic.json'), seg_prefix=str(tmp_path / 'out.panoptic')
    )
    assert measure(make_metric(root, **own), samples(disturbed))['coco_panoptic/PQ'] == 100
    assert expected['coco_panoptic/PQ'] < 100
    assert not list(tmp_path.rglob('*.partial'))


def test_format_only(root, tmp_path):
    """It also works on a test set, which has no annotations."""
    test_set = tmp_path / 'test.json'
    with open(paths(root)['ann_file']) as file:
        content = json.load(file)
    test_set.write_text(json.dumps({k: content[k] for k in ('images', 'categories')}))
    options = dict(format_only=True, outfile_prefix=str(tmp_path / 'out'), seg_prefix=None)
    metric = make_metric(root, **options, ann_file=str(test_set))
    assert measure(metric, samples(disturbed)) == {}
    assert len(list((tmp_path / 'out.panoptic').iterdir())) == len(IDS)


def test_nothing_predicted(root):
    metrics = measure(make_metric(root), samples(lambda index: np.full(SIZE, VOID)))
    assert set(metrics.values()) == {0}


def test_empty_truth(root, tmp_path):
    """All VOID: nothing can be right or wrong, and empty averages are 0."""
    with open(paths(root)['ann_file']) as file:
        content = json.load(file)
    for entry in content['annotations']:
        entry['segments_info'] = []
        Image.fromarray(np.zeros((*SIZE, 3), np.uint8)).save(tmp_path / entry['file_name'])
    (tmp_path / 'empty.json').write_text(json.dumps(content))
    own = dict(ann_file=str(tmp_path / 'empty.json'), seg_prefix=str(tmp_path))
    assert set(measure(make_metric(root, **own), samples(perfect)).values()) == {0}


def test_another_ignore_index(root):
    def filled(index):
        return np.where(disturbed(index) % 1000 == VOID, 255, disturbed(index))

    predictions = samples(filled)
    for sample in predictions:
        sample['pred_panoptic_seg']['ignore_index'] = 255
    expected = measure(make_metric(root), samples(disturbed))
    assert measure(make_metric(root), predictions) == expected


def reordered(root, tmp_path, order):
    """The metric whose file has its categories in another order."""
    with open(paths(root)['ann_file']) as file:
        content = json.load(file)
    content['categories'] = [content['categories'][label] for label in order]
    (tmp_path / 'reordered.json').write_text(json.dumps(content))
    return make_metric(root, classwise=True, ann_file=str(tmp_path / 'reordered.json'))


STUFF_FIRST = [*range(6, VOID), *range(6)]


@pytest.mark.parametrize('order', [range(VOID)[::-1], STUFF_FIRST])
def test_labels_are_in_the_order_of_the_file(root, tmp_path, order):
    """As mmdet's datasets number them, whatever the order of the dataset's classes."""

    def renumbered(index):
        label_of = np.append(np.argsort(order), VOID)
        values = disturbed(index)
        return values - values % 1000 + label_of[values % 1000]

    # A stuff segment of label 0 is 0 in the map.
    assert any((renumbered(index) == 0).any() for index in IDS)
    expected = measure(make_metric(root, classwise=True), samples(disturbed))
    for classes in (CLASSES, CLASSES[::-1]):
        metric = reordered(root, tmp_path, order)
        metric.dataset_meta = dict(classes=classes)
        assert measure(metric, samples(renumbered)) == pytest.approx(expected, abs=1e-9)


def test_crowd_in_the_file(root, tmp_path):
    """If all of the truth is crowd, nothing is missed and nothing can be matched."""
    with open(paths(root)['ann_file']) as file:
        content = json.load(file)
    for entry in content['annotations']:
        for segment in entry['segments_info']:
            segment['iscrowd'] = 1
    (tmp_path / 'crowd.json').write_text(json.dumps(content))
    metric = make_metric(root, ann_file=str(tmp_path / 'crowd.json'))
    metric.process({}, samples(perfect))
    assert not sum(future.result()[0] for future in metric.results).any()
    metric.evaluate(len(IDS))


def test_maps_do_not_pile_up(root, monkeypatch):
    metric = make_metric(root, num_workers=1)
    monkeypatch.setattr(metric, 'evaluate_image', lambda *_: time.sleep(0.01))
    for sample in samples(perfect) * 3:
        metric.process({}, [sample])
        assert sum(not future.done() for future in metric.results) <= 4


def test_one_image_is_written_by_two_threads(tmp_path):
    path, id_map = str(tmp_path / 'map.png'), np.arange(200 * 200).reshape(200, 200)
    with ThreadPoolExecutor(2) as workers:
        for future in [workers.submit(write_id_map, path, id_map) for _ in range(20)]:
            future.result()
    assert np.array_equal(read_id_map(path), id_map)


def test_some_of_the_classes(root):
    """Segments of the other classes become VOID."""
    metric = make_metric(root)
    metric.dataset_meta = dict(classes=CLASSES[:3])

    def three(index):
        values = perfect(index)
        return np.where(values % 1000 < 3, values, 3)

    assert measure(metric, samples(three))['coco_panoptic/PQ_th'] == 100


def test_builds_from_the_registry(root):
    metric = METRICS.build(dict(type='PanopticMetric', **paths(root)))
    assert type(metric) is PanopticMetric


def changed(root, tmp_path, change):
    """The annotation file with a change."""
    with open(paths(root)['ann_file']) as file:
        content = json.load(file)
    change(content)
    (tmp_path / 'changed.json').write_text(json.dumps(content))
    return str(tmp_path / 'changed.json')


def as_texts(content):
    for category in content['categories']:
        category['isthing'] = str(category['isthing'])


def as_floats(content):
    for category in content['categories']:
        category['id'] = float(category['id'])
    for entry in content['annotations']:
        entry['image_id'] = float(entry['image_id'])
        for segment in entry['segments_info']:
            segment['id'] = float(segment['id'])
            segment['category_id'] = float(segment['category_id'])


def without_things(content):
    for category in content['categories']:
        del category['isthing']


@pytest.mark.parametrize('change', [as_texts, as_floats, without_things])
def test_what_everybody_means(root, tmp_path, change):
    expected = measure(make_metric(root), samples(disturbed))
    metric = make_metric(root, ann_file=changed(root, tmp_path, change))
    assert measure(metric, samples(disturbed)) == expected


def test_nobody_says_what_is_a_thing(root, tmp_path):
    metric = make_metric(root, ann_file=changed(root, tmp_path, without_things))
    del metric.dataset_meta['thing_classes']
    with pytest.raises(ValueError, match='does not say whether disk, box, ring'):
        measure(metric, samples(perfect))


NAMES = ['cam0/a.jpg', 'cam1/a.jpg', 'b.jpg', 'b.png', '../c.jpg']


def test_written_names_are_those_of_the_images(root, tmp_path):
    """With their folders, unless they lead elsewhere; with ids where two would be alike."""

    def rename(content):
        for image, name in zip(content['images'], NAMES, strict=True):
            image['file_name'] = name

    ann_file = changed(root, tmp_path, rename)
    metric = make_metric(root, ann_file=ann_file, outfile_prefix=str(tmp_path / 'out' / 'x'))
    assert measure(metric, samples(perfect))['coco_panoptic/PQ'] == 100
    folder = tmp_path / 'out' / 'x.panoptic'
    expected = {'cam0/a.png', 'cam1/a.png', f'b_{IDS[2]}.png', f'b_{IDS[3]}.png', 'c.png'}
    assert {str(path.relative_to(folder)) for path in folder.rglob('*.png')} == expected
    written = json.loads((tmp_path / 'out' / 'x.panoptic.json').read_text())
    assert {entry['file_name'] for entry in written['annotations']} == expected
    again = PanopticMetric(str(tmp_path / 'out' / 'x.panoptic.json'), str(folder))
    again.dataset_meta = metric.dataset_meta
    assert measure(again, samples(perfect))['coco_panoptic/PQ'] == 100


SEGMENT = {'image_id': 1, 'file_name': 'a.png', 'segments_info': []}


def panoptic(*annotations):
    categories = [{'id': 1, 'name': 'a', 'isthing': 1}]
    return json.dumps({'categories': categories, 'annotations': annotations})


class TestBadInput:
    def broken(self, root, tmp_path, change=lambda entry: None, **options):
        """Evaluates against a changed annotation of the third image."""
        with open(paths(root)['ann_file']) as file:
            content = json.load(file)
        change(content['annotations'][2])
        (tmp_path / 'changed.json').write_text(json.dumps(content))
        own = dict(ann_file=str(tmp_path / 'changed.json'), **options)
        return measure(make_metric(root, **own), samples(perfect))

    def test_ids_that_the_json_lacks(self, root, tmp_path):
        message = rf'scene_{IDS[2]}\.jpg: the truth has 1 id\(s\), .* pixels but not among its seg'
        with pytest.raises(ValueError, match=message):
            self.broken(root, tmp_path, lambda entry: entry['segments_info'].pop())

    def test_ids_that_the_png_lacks(self, root, tmp_path):
        extra = dict(id=99, category_id=1, iscrowd=0)
        message = rf'scene_{IDS[2]}\.jpg: .* 99, among its segments but not among its pixels'
        with pytest.raises(ValueError, match=message):
            self.broken(root, tmp_path, lambda entry: entry['segments_info'].append(extra))

    def test_missing_png(self, root, tmp_path):
        with pytest.raises(
            FileNotFoundError, match=rf'image .*scene_{IDS[2]}\.jpg: no panop.*gone\.png'
        ):
            self.broken(root, tmp_path, lambda entry: entry.update(file_name='gone.png'))

    def test_broken_png(self, root, tmp_path):
        (tmp_path / 'maps').mkdir()
        for path in (root / 'panoptic' / 'validation').iterdir():
            (tmp_path / 'maps' / path.name).write_bytes(path.read_bytes()[:60])
        with pytest.raises(ValueError, match=r'\.png cannot be read as an image'):
            self.broken(root, tmp_path, seg_prefix=str(tmp_path / 'maps'))

    def test_png_of_another_size(self, root, tmp_path):
        Image.fromarray(id2rgb(np.ones((3, 4), int))).save(tmp_path / 'small.png')

        def change(entry):
            entry.update(file_name='small.png', segments_info=[dict(id=1, category_id=1)])

        for path in (root / 'panoptic' / 'validation').iterdir():
            (tmp_path / path.name).write_bytes(path.read_bytes())
        message = r'the prediction has \(H, W\) = \(40, 56\), the truth has \(3, 4\)'
        with pytest.raises(ValueError, match=message):
            self.broken(root, tmp_path, change, seg_prefix=str(tmp_path))

    def test_image_without_annotation(self, root, tmp_path):
        with pytest.raises(ValueError, match=f'no annotation of the image with id {IDS[2]}'):
            self.broken(root, tmp_path, lambda entry: entry.update(image_id=1))

    def test_two_categories_of_one_name(self, root, tmp_path):
        with open(paths(root)['ann_file']) as file:
            content = json.load(file)
        content['categories'].append({'id': 99, 'name': 'ring', 'isthing': 1})
        (tmp_path / 'twice.json').write_text(json.dumps(content))
        metric = make_metric(root, ann_file=str(tmp_path / 'twice.json'))
        with pytest.raises(ValueError, match=r'two categories named ring, with the ids 3, 99$'):
            measure(metric, samples(perfect))

    def test_class_without_category(self, root):
        metric = make_metric(root)
        metric.dataset_meta = dict(classes=('disk', 'cloud'))
        with pytest.raises(ValueError, match='no category cloud, which the dataset has; it has'):
            measure(metric, samples(perfect))

    def test_model_with_more_classes(self, root):
        def predict(index):
            return perfect(index) + 9

        metric, before = make_metric(root), threading.active_count()
        message = rf'image .*scene_{IDS[0]}\.jpg: .* label \d+, the dataset has the classes 0..10'
        with pytest.raises(ValueError, match=message):
            measure(metric, samples(predict))
        # The failure leaves nothing behind.
        assert threading.active_count() == before
        assert measure(metric, samples(perfect))['coco_panoptic/PQ'] == 100

    @pytest.mark.parametrize(
        ('content', 'message'),
        [
            ('{"images": [', 'is not a complete JSON file'),
            ('{"images": [], "annotations": []}', 'has no categories'),
            ('[]', 'is not a COCO file: it holds'),
            ('{"categories": "abc"}', 'categories must be a list with entries, got'),
            ('{"categories": [{"id": 1, "name": "a"}]}', 'has no annotations'),
            ('{"categories": [{"id": "x", "name": "a"}], "annotations": [{}]}', 'is not panoptic'),
            (panoptic(5), r'annotations\[0\] must be an object, got 5'),
            (panoptic({'image_id': [1], 'file_name': 'a', 'segments_info': []}), 'no image_id'),
            (panoptic({'image_id': 1, 'segments_info': []}), 'has the file_name null'),
            (panoptic(SEGMENT | {'segments_info': [{'id': 10**400}]}), 'with the id 100'),
            (panoptic(SEGMENT | {'segments_info': [{'id': 0}]}), 'must be a whole number, 1 to'),
            (panoptic(SEGMENT | {'segments_info': [{'id': 5}]}), 'has category null, which'),
            (panoptic(SEGMENT, SEGMENT), 'annotation of image 1 is one of two'),
            (panoptic({'image_id': 1, 'bbox': []}), 'is not panoptic: it has no segments_info'),
            ('[' * 10**5, 'is not a complete JSON file'),
        ],
    )
    def test_damaged_annotations(self, root, tmp_path, content, message):
        (tmp_path / 'bad.json').write_text(content)
        with pytest.raises(ValueError, match=message):
            make_metric(root, ann_file=str(tmp_path / 'bad.json'))

    def test_markup_in_the_names_of_classes(self, root, tmp_path):
        names = ('[/red]', '[bold]', '\x1b[2J', '\ud800')
        content = json.loads(Path(paths(root)['ann_file']).read_text())
        for category, name in zip(content['categories'], names, strict=False):
            category['name'] = name
        (tmp_path / 'names.json').write_text(json.dumps(content))
        metric = make_metric(root, ann_file=str(tmp_path / 'names.json'), classwise=True)
        metric.dataset_meta = dict(classes=(*names, *CLASSES[len(names) :]))
        assert measure(metric, samples(perfect))['coco_panoptic/[/red]_PQ'] == 100

    def test_writes_into_its_folder_only(self, root, tmp_path):
        metric = make_metric(root, outfile_prefix=str(tmp_path / 'deep' / 'out'), format_only=True)
        hostile = ('../../a.png', str(tmp_path / 'b.png'), '..')
        for sample, path in zip(written := samples(perfect), hostile, strict=False):
            sample['img_path'] = path
        measure(metric, written)
        assert [path.name for path in tmp_path.iterdir()] == ['deep']
        assert len(list((tmp_path / 'deep' / 'out.panoptic').iterdir())) == len(IDS)

    def test_missing_files(self, root):
        with pytest.raises(FileNotFoundError, match='ann_file: nowhere is not a file'):
            make_metric(root, ann_file='nowhere')
        with pytest.raises(FileNotFoundError, match='seg_prefix: no folder nowhere'):
            make_metric(root, seg_prefix='nowhere')

    @pytest.mark.parametrize(
        ('options', 'message'),
        [
            (dict(format_only=True), 'format_only needs outfile_prefix'),
            (dict(seg_prefix=None), 'seg_prefix is the folder'),
            (dict(num_workers=0), 'num_workers must be a positive integer, got 0'),
        ],
    )
    def test_options(self, root, options, message):
        with pytest.raises(ValueError, match=message):
            make_metric(root, **options)
