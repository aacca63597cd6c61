"""Classes are the same in data sets, files, metrics and heads, or one line says where not."""

import json
from pathlib import Path

import pytest

pytest.importorskip('mmengine')

from mmengine.registry import DATASETS, init_default_scope

from sapa_mm.datasets import CLASSES, STUFF_CLASSES, THING_CLASSES, write_scenes
from sapa_mm.datasets.checks import check_data, inspect_data
from sapa_mm.datasets.checks.classes import find_class_problems, find_metainfo_problems
from sapa_mm.datasets.checks.coco import CocoReader
from sapa_mm.datasets.checks.heads import find_head_problems, find_heads
from sapa_mm.engine.config import in_scope
from tests.support import configs

SEGFORMER, MASK_RCNN, PANOPTIC_FPN = (
    Path(name.format('sapa-d')).stem
    for name in (configs.SEGFORMER, configs.MASK_RCNN, configs.PANOPTIC_FPN)
)


def names_wrong(dataset):
    return [
        (line.kind, line.text) for line in find_metainfo_problems(dataset, 'data', CocoReader())
    ]


def problems(name, options=(), splits=('train', 'val', 'test')):
    """The lines on a config of ours with other settings."""
    cfg = configs.load(name)
    cfg.merge_from_dict(dict(options))
    with in_scope(cfg):
        return [
            f'{line.kind}: {line.text}' for line in find_class_problems(cfg, splits, CocoReader())
        ]


@pytest.fixture
def scope():
    pytest.importorskip('mmseg')
    init_default_scope('mmseg')


class TestNames:
    """What stands in ``metainfo``."""

    NAMES = 'must be a list of the names of the classes, in the order of their labels'
    WRONG = {
        'text': ({'classes': 'disk'}, "classes is the text 'disk', must .* one class: .'disk',.$"),
        'none': ({}, f'metainfo.classes is missing, {NAMES}$'),
        'null': ({'classes': None}, f'metainfo.classes is missing, {NAMES}$'),
        'old': ({'CLASSES': ('a', 'b')}, 'CLASSES is not read; it is called classes$'),
        'empty': ({'classes': ()}, f'classes is .., {NAMES}$'),
        'numbers': ({'classes': (1, 'a')}, f'classes has 1, {NAMES}$'),
        'dict': ({'classes': {'a': 0}}, f'classes is .*, {NAMES}$'),
        'twice': ({'classes': ('a', 'b', 'a')}, 'classes has a more than once; names must differ$'),
        'list': (['a', 'b'], 'metainfo must be a dict'),
        'number': (5, 'metainfo must be a dict'),
    }

    @pytest.mark.parametrize('kind', WRONG)
    def test_wrong_ones_are_named(self, scope, kind):
        metainfo, message = self.WRONG[kind]
        ((level, text),) = names_wrong({'type': 'BaseSegDataset', 'metainfo': metainfo})
        assert level == 'error'
        with pytest.raises(AssertionError, match=rf'data\..*{message}'):
            raise AssertionError(text)

    @pytest.mark.parametrize('dataset', [
        {'type': 'BaseSegDataset', 'metainfo': {'classes': ('a', 'b')}},
        {'type': 'BaseSegDataset', 'metainfo': {'classes': ['a']}},
        {'type': 'ADE20KDataset'},
        {'type': 'ADE20KDataset', 'metainfo': {'classes': ('sky', 'wall')}},
        {'type': 'mmdet.CocoDataset', 'metainfo': {'classes': ('cat',)}},
        {'type': 'NeverHeardOf', 'metainfo': {}},
        {'type': list, 'metainfo': 'of another kind'},
    ])  # fmt: skip
    def test_right_ones_pass(self, scope, dataset):
        pytest.importorskip('mmdet')
        assert names_wrong(dataset) == []

    def test_file_of_names(self, scope, tmp_path):
        """mmengine reads a text that is the name of a file."""
        (tmp_path / 'names.txt').write_text('a\nb\n')
        dataset = {'type': 'BaseSegDataset', 'metainfo': {'classes': str(tmp_path / 'names.txt')}}
        assert names_wrong(dataset) == []
        (tmp_path / 'names.txt').write_bytes(b'\xff\xfe')
        ((kind, text),) = names_wrong(dataset)
        assert kind == 'error'
        assert text.startswith('data.metainfo: a file that it names cannot be read: ')

    def test_classes_of_another_data_set(self, scope):
        dataset = {'type': 'ADE20KDataset', 'metainfo': {'classes': ('wall', 'disk')}}
        ((kind, text),) = names_wrong(dataset)
        assert (kind, text) == (
            'error',
            'data.metainfo.classes: ADE20KDataset has no disk; it takes some of its own classes, '
            'BaseSegDataset takes any',
        )
        with pytest.raises(ValueError, match='not a subset'):
            DATASETS.build({**dataset, 'lazy_init': True})

    def test_names_that_a_class_finds_itself(self, scope):
        from mmseg.datasets import BaseSegDataset

        class Own(BaseSegDataset):
            def __init__(self, names=None, **kwargs):
                super().__init__(metainfo={'classes': names}, **kwargs)

        assert names_wrong({'type': Own, 'names': ['a', 'b']}) == []
        assert names_wrong({'type': Own, 'nonsense': 1}) == []  # it cannot be built

    def test_setting_of_older_versions(self, scope):
        (line,) = names_wrong({'type': 'BaseSegDataset', 'classes': ('a',)})
        assert line == ('error', 'data.classes is not read; write metainfo=dict(classes=...)')

    @pytest.mark.parametrize(('kind', 'number', 'level'), [
        ('BaseSegDataset', 1, 'error'), ('BaseSegDataset', 3, 'error'),
        ('mmdet.CocoDataset', 1, 'note'), ('mmdet.CocoDataset', 3, None),
    ])  # fmt: skip
    def test_palette_of_another_length(self, scope, kind, number, level):
        pytest.importorskip('mmdet')
        metainfo = {'classes': ('a', 'b'), 'palette': [(0, 0, 0)] * number}
        lines = names_wrong({'type': kind, 'metainfo': metainfo})
        assert [line[0] for line in lines] == ([level] if level else [])
        assert all(f'palette has {number} colours for 2 classes' in text for _, text in lines)
        named = names_wrong({'type': kind, 'metainfo': {'classes': ('a',), 'palette': 'coco'}})
        assert len(named) == (kind == 'BaseSegDataset')  # mmdet draws with it
        named = names_wrong({'type': kind, 'metainfo': {'classes': ('a',), 'PALETTE': []}})
        assert named == [('note', 'data.metainfo.PALETTE is not read; it is called palette')]


def categories(names=CLASSES, **extra):
    return [
        {'id': CLASSES.index(name) + 1, 'name': name, 'isthing': int(name in THING_CLASSES)} | extra
        for name in names
    ]


class TestOrder:
    """mmdet's data sets and metrics number the categories of their file in its order."""

    @pytest.fixture(autouse=True)
    def _hosts(self):
        pytest.importorskip('mmdet')

    @pytest.fixture
    def wrong(self, tmp_path):
        """Writes files with these categories, and gives the lines on a config that reads them."""

        def find(train=CLASSES, val=None, instances=THING_CLASSES, options=()):
            cfg = configs.load(PANOPTIC_FPN)
            for name, listed in (('train', train), ('val', val or train), ('boxes', instances)):
                content = listed if isinstance(listed[0], dict) else categories(listed)
                (tmp_path / f'{name}.json').write_text(json.dumps({'categories': content}))
            for split, name in (('train', 'train'), ('val', 'val'), ('test', 'val')):
                files = {'data_root': str(tmp_path), 'ann_file': f'{name}.json'}
                cfg[f'{split}_dataloader'].dataset.update(files)
            for evaluator in (cfg.val_evaluator, cfg.test_evaluator):
                evaluator[0].ann_file = str(tmp_path / 'val.json')
                evaluator[1].ann_file = str(tmp_path / 'boxes.json')
            cfg.merge_from_dict(dict(options))
            lines = []
            with in_scope(cfg):
                for split in ('train', 'val'):
                    dataset = cfg[f'{split}_dataloader'].dataset
                    lines += find_metainfo_problems(dataset, split, CocoReader())
                lines += find_class_problems(cfg, ('train', 'val', 'test'), CocoReader())
            return [f'{line.kind}: {line.text}' for line in lines]

        return find

    def test_one_order_everywhere(self, wrong):
        assert wrong() == []

    def test_other_ids_do_not_matter(self, wrong):
        assert wrong(val=[{**one, 'id': 100 - one['id']} for one in categories()]) == []

    def test_file_in_another_order(self, wrong, tmp_path):
        order = THING_CLASSES[::-1] + STUFF_CLASSES[::-1]
        train, val, boxes = wrong(order)
        for line, split in ((train, 'train'), (val, 'val')):
            start = f'error: {split}.metainfo.classes: from label 0 on they are disk, box, ring, '
            assert line.startswith(start)
            assert f'{tmp_path}/{split}.json, strand, blob, star, ...; ' in line
            assert f'set classes={order} and' in line
        assert boxes.startswith(f'error: val_evaluator.1.ann_file: {tmp_path}/boxes.json numbers')
        # With the advice taken everywhere, all agree.
        keys = [
            f'{split}_dataloader.dataset.metainfo.classes' for split in ('train', 'val', 'test')
        ]
        assert wrong(order, instances=order[:6], options=dict.fromkeys(keys, order)) == []

    def test_classes_in_another_order(self, wrong):
        order = CLASSES[:6] + ('grass', 'sky') + CLASSES[8:]
        lines = wrong(options={'train_dataloader.dataset.metainfo.classes': order})
        assert 'from label 6 on they are grass, sky, water, ...' in lines[0]
        assert 'sky, grass, water, ...' in lines[0]
        # Validation has the right names, so it differs from training.
        assert lines[1].startswith('error: val_dataloader.dataset.metainfo.classes: from label 6')

    def test_stuff_first(self, wrong):
        lines = wrong(STUFF_CLASSES + THING_CLASSES)
        assert len(lines) == 2
        assert all('lists stuff (sky) before things; ' in line for line in lines)

    @pytest.mark.parametrize('value', ['0', 'None'])
    def test_things_by_name(self, wrong, value):
        """isthing is text, or missing: then thing_classes tells."""
        listed = categories()
        for one in listed:
            one['isthing'] = str(one['isthing'])
            if value == 'None':
                del one['isthing']
        assert wrong(listed) == []

    def test_other_things(self, wrong):
        lines = wrong(options={'train_dataloader.dataset.metainfo.thing_classes': CLASSES[:7]})
        assert len(lines) == 1
        assert lines[0].startswith('error: train.metainfo.thing_classes and isthing in ')
        assert lines[0].endswith('train.json do not agree: sky')

    def test_training_and_validation_in_another_order(self, wrong):
        order = CLASSES[:6] + CLASSES[:5:-1]
        (line,) = wrong(val=order)
        assert line.startswith('error: val.metainfo.classes: from label 6 on they are sky')

    def test_name_twice(self, wrong):
        lines = wrong([*categories(), {'id': 12, 'name': 'brick', 'isthing': 0}])
        text = 'has 2 categories named brick, with the ids 10, 12; leave one, or rename it'
        assert [line.endswith(text) for line in lines] == [True, True]
        # Names that are no classes do not matter.
        others = [{'id': number, 'name': 'x', 'isthing': 1} for number in (50, 51)]
        assert wrong([*categories(), *others]) == []

    def test_metric_of_other_categories(self, wrong):
        (line,) = wrong(instances=THING_CLASSES[1:])
        assert line.endswith('boxes.json has no category for 1 of the classes: disk')
        (line,) = wrong(instances=('box', 'disk') + THING_CLASSES[2:])
        assert 'boxes.json numbers the classes from label 0 on as box, disk, ring, ..., but' in line
        assert wrong(instances=CLASSES) == []


def test_metrics_of_each_part():
    """mmdet has an evaluator with a metric for each part of a ConcatDataset."""
    pytest.importorskip('mmdet')
    cfg = configs.load(MASK_RCNN)
    part = cfg.val_dataloader.dataset
    other = {**part, 'metainfo': {**part.metainfo, 'classes': ('disk',)}}
    cfg.val_dataloader.dataset = {'type': 'ConcatDataset', 'datasets': [part, other]}
    with in_scope(cfg):
        (line,) = find_class_problems(cfg, ['val'], CocoReader())
        assert line.text.startswith('classes is a tuple of 1: disk in val_dataloader.dataset.datas')
        cfg.val_evaluator = {'type': 'MultiDatasetsEvaluator', 'metrics': [cfg.val_evaluator] * 2}
        assert list(find_class_problems(cfg, ['val'], CocoReader())) == []


def test_categories_without_the_rest(tmp_path):
    """They are found first, last and among much else, and only there."""
    path, listed = tmp_path / 'coco.json', [{'id': 1, 'name': 'é'}, {'id': 2, 'name': 'x' * 2**17}]
    annotations = [{'note': '"categories": [1]'}] * 9
    for content in (
        {'categories': listed, 'annotations': annotations},
        {'annotations': annotations, 'categories': listed},
        {'categories': listed, 'info': {'categories': ['a']}},
    ):
        for indent in (None, 2):
            path.write_text(json.dumps(content, indent=indent, ensure_ascii=False), 'utf-8-sig')
            assert CocoReader().categories(str(path)) == listed
    for text in ('', '{}', '{"categories": 3}', '{"categories": [', '{"categories": [{"id": 1}]}'):
        path.write_text(text)
        assert CocoReader().categories(str(path)) == []
    assert CocoReader().categories(str(tmp_path / 'nowhere.json')) == []


class TestHeads:
    """The number of classes of each head is that of the data."""

    @pytest.mark.parametrize(('config', 'key', 'number', 'text'), [
        (SEGFORMER, 'decode_head.num_classes', 10, '11 classes'),
        (SEGFORMER, 'decode_head.num_classes', 12, '11 classes'),
        (MASK_RCNN, 'roi_head.bbox_head.num_classes', 80, '6 classes'),
        (MASK_RCNN, 'roi_head.mask_head.num_classes', 4, '6 classes'),
        (PANOPTIC_FPN, 'roi_head.mask_head.num_classes', 11, '6 classes of things'),
        (PANOPTIC_FPN, 'semantic_head.num_things_classes', 80, '6 classes of things'),
        (PANOPTIC_FPN, 'panoptic_fusion_head.num_stuff_classes', 53, '5 classes of stuff'),
    ])  # fmt: skip
    def test_another_number(self, config, key, number, text):
        pytest.importorskip('mmdet')
        pytest.importorskip('mmseg')
        assert problems(config) == []
        message = f'error: model.{key} is {number}, but train_dataloader.dataset has {text}'
        assert problems(config, {f'model.{key}': number}) == [message]
        tested = message.replace('train_', 'test_')
        assert problems(config, {f'model.{key}': number}, ['test']) == [tested]

    def find(self, scope, model, classes, things=None):
        pytest.importorskip(scope)
        init_default_scope(scope)
        lines = list(find_head_problems(list(find_heads(model)), classes, things, 'data'))
        assert all(line.kind == 'error' for line in lines)
        return [line.text for line in lines]

    @pytest.mark.parametrize('number', ['3', 3.0, True])
    def test_numbers_that_are_none(self, number):
        head = {'decode_head': {'type': 'FCNHead', 'num_classes': number}}
        (text,) = self.find('mmseg', head, 3)
        assert text == f'model.decode_head.num_classes is {number!r}, must be a whole number'

    def test_several_heads(self):
        heads = [{'type': 'FCNHead', 'num_classes': number} for number in (3, 4)]
        model = {'decode_head': heads[0], 'auxiliary_head': heads}
        assert self.find('mmseg', model, 3) == [
            'model.auxiliary_head.1.num_classes is 4, but data has 3 classes'
        ]
        boxes = [{'type': 'Shared2FCBBoxHead', 'num_classes': number} for number in (3, 80)]
        (text,) = self.find('mmdet', {'roi_head': {'bbox_head': boxes}}, 3)
        assert text == 'model.roi_head.bbox_head.1.num_classes is 80, but data has 3 classes'

    def test_defaults(self):
        model = {'roi_head': {'mask_head': {'type': 'FCNMaskHead'}}}
        assert self.find('mmdet', model, 80) == []
        assert self.find('mmdet', model, 3) == [
            'model.roi_head.mask_head.num_classes is 80 by default, but data has 3 classes'
        ]

    def test_queries(self):
        numbers = {'num_things_classes': 3, 'num_stuff_classes': 2}
        head = {'panoptic_head': {'type': 'Mask2FormerHead', **numbers}}
        assert self.find('mmdet', head, 5, 3) == self.find('mmdet', head, 5) == []
        assert self.find('mmdet', head, 5, 2) == [
            'model.panoptic_head.num_things_classes is 3, but data has 2 classes of things'
        ]
        (text,) = self.find('mmdet', head, 80)
        assert 'num_things_classes + num_stuff_classes is 5, but data has 80 classes' in text
        assert self.find('mmdet', {'bbox_head': {'type': 'DINOHead', 'num_classes': 4}}, 5)
        # mmseg's head of the same name counts all classes.
        head = {'decode_head': {'type': 'Mask2FormerHead', 'num_classes': 5}}
        assert self.find('mmseg', head, 5) == []
        assert self.find('mmseg', head, 6)

    @pytest.mark.parametrize('head', [
        {'rpn_head': {'type': 'RPNHead'}},
        {'rpn_head': {'type': 'FCOSHead', 'num_classes': 1}},
        {'bbox_head': {'type': 'GroundingDINOHead', 'num_classes': 256}},
        {'roi_head': {'semantic_head': {'type': 'FusedSemanticHead', 'num_classes': 183}}},
        {'roi_head': {'mask_head': {'type': 'FCNMaskHead', 'class_agnostic': True}}},
        {'some_head': {'type': 'NeverHeardOf', 'num_classes': 9}},
        {'some_head': {'num_classes': 9}},
        {'backbone': {'type': 'SSDVGG', 'num_classes': 9}},
    ])  # fmt: skip
    def test_others_are_left_alone(self, head):
        assert self.find('mmdet', head, 3) == []

    def test_edges_are_left_alone(self):
        pytest.importorskip('mmseg')
        from mmseg.models.decode_heads import FCNHead

        class OwnHead(FCNHead):
            pass

        edges = [{'type': kind, 'num_classes': 2} for kind in ('STDCHead', OwnHead)]
        main = {'type': OwnHead, 'num_classes': 3}
        assert self.find('mmseg', {'decode_head': main, 'auxiliary_head': edges}, 3) == []
        assert self.find('mmseg', {'decode_head': main}, 4)

    def test_one_channel(self):
        def head(sigmoid, **numbers):
            loss = {'type': 'CrossEntropyLoss', 'use_sigmoid': sigmoid}
            return {'decode_head': {'type': 'FCNHead', 'loss_decode': loss, **numbers}}

        assert self.find('mmseg', head(True, num_classes=2, out_channels=1), 2) == []
        assert self.find('mmseg', head(True, num_classes=1), 2) == []
        assert self.find('mmseg', head(False, num_classes=1), 2)  # its loss is 0
        assert self.find('mmseg', head(True, num_classes=1), 3)

    def test_weights_of_losses(self):
        def decode(number, **options):
            losses = [{'type': 'CrossEntropyLoss', 'class_weight': [1.0] * number}]
            head = {'type': 'FCNHead', 'num_classes': 2, 'loss_decode': losses, **options}
            return self.find('mmseg', {'decode_head': head}, 2)

        assert decode(2) == decode(1, out_channels=1) == []
        assert decode(3) == [
            'model.decode_head.loss_decode.0.class_weight has 3 numbers, must have 2, one for each '
            'output of the head'
        ]

        def boxes(number, sigmoid=False):
            loss = {'type': 'CrossEntropyLoss', 'use_sigmoid': sigmoid}
            loss['class_weight'] = [1.0] * number
            head = {'type': 'Shared2FCBBoxHead', 'num_classes': 2, 'loss_cls': loss}
            return self.find('mmdet', {'roi_head': {'bbox_head': head}}, 2)

        assert boxes(3) == boxes(2, sigmoid=True) == []  # the last is the background
        assert 'must have 3' in boxes(2)[0]


class TestSplits:
    """Training and validation are of the same classes, and of other images."""

    @pytest.fixture(autouse=True)
    def _hosts(self):
        pytest.importorskip('mmseg')

    def test_other_classes(self):
        val = {f'val_dataloader.dataset.{key}': value for key, value in (
            ('metainfo', {'classes': ('other', *CLASSES)}), ('reduce_zero_label', False),
        )}  # fmt: skip
        (line,) = problems(SEGFORMER, val, ('train', 'val'))
        assert line == (
            'error: val_dataloader.dataset has 12 classes (other, disk, box, ...) and '
            'reduce_zero_label=False, but train_dataloader.dataset has 11 classes (disk, box, '
            'ring, ...) and reduce_zero_label=True'
        )

    def test_zero_label(self):
        (line,) = problems(SEGFORMER, {'val_dataloader.dataset.reduce_zero_label': False})
        assert line.startswith('note: val_dataloader.dataset has 11 classes (disk, box, ring, ...)')
        assert line.endswith('reduce_zero_label=True: right only if their label maps differ, too')

    @pytest.mark.parametrize(('first', 'kind'), [(('box', 'disk'), 'error'), (('a', 'b'), 'note')])
    def test_other_names(self, first, kind):
        key = 'test_dataloader.dataset.metainfo.classes'
        (line,) = problems(SEGFORMER, {key: first + CLASSES[2:]})
        names = ', '.join((*first, 'ring'))
        assert line.startswith(f'{kind}: test_dataloader.dataset.metainfo.classes: from label 0 on')
        assert line.endswith(
            f'they are {names}, ..., but disk, box, ring, ... in train_dataloader.dataset'
        )

    def test_same_images(self, tmp_path):
        prefix = {'img_path': 'images/training', 'seg_map_path': 'annotations/training'}
        key = 'val_dataloader.dataset.data_prefix'
        (line,) = problems(SEGFORMER, {key: prefix}, ('train', 'val'))
        assert line.startswith('note: val_dataloader.dataset reads the images of train_dataloader')
        other = {key: prefix, 'val_dataloader.dataset.ann_file': 'list.txt'}
        assert problems(SEGFORMER, other, ('train', 'val')) == []

    @pytest.mark.parametrize(('setting', 'value', 'shown'), [
        ('metainfo', {'classes': CLASSES[:10]}, 'classes is a tuple of 10: disk, box, ring, ...'),
        ('metainfo', {'classes': list(CLASSES)}, 'classes is a list of 11: disk, box, ring, ...'),
        ('reduce_zero_label', False, 'reduce_zero_label is False'),
    ])  # fmt: skip
    def test_parts(self, setting, value, shown):
        part = configs.load(SEGFORMER).train_dataloader.dataset.to_dict()
        part['metainfo'] = {'classes': CLASSES}
        changed = {'type': 'RepeatDataset', 'times': 2, 'dataset': {**part, setting: value}}
        parts = {'type': 'ConcatDataset', 'datasets': [part, part], '_delete_': True}
        assert problems(SEGFORMER, {'train_dataloader.dataset': parts}, ['train']) == []
        parts['datasets'] = [part, changed]
        (line,) = problems(SEGFORMER, {'train_dataloader.dataset': parts}, ['train'])
        assert line.startswith(
            f'error: {shown} in train_dataloader.dataset.datasets.1.dataset, but '
        )
        parts['ignore_keys'] = ['classes', 'reduce_zero_label']
        assert problems(SEGFORMER, {'train_dataloader.dataset': parts}, ['train']) == []


@pytest.mark.extended
def test_our_configs_are_right():
    pytest.importorskip('mmdet')
    pytest.importorskip('mmseg')
    for name in configs.PATHS:
        cfg = configs.load(name)
        with in_scope(cfg):
            has_classes = cfg.model.type not in ('FlipDepthEstimator', 'A2UMatting')
            assert bool(list(find_heads(cfg.model))) == has_classes
        assert problems(name) == []


def test_a_report_goes_on(tmp_path):
    """Other checks need right names; with wrong ones the report names these alone."""
    pytest.importorskip('mmseg')
    write_scenes(tmp_path, num_train=2, num_val=2, size=(48, 64))
    for key, value in (
        ('metainfo', 'names.txt'), ('metainfo', {'classes': 'disk'}), ('metainfo', {'classes': 3}),
        ('metainfo', None), ('classes', CLASSES),
    ):  # fmt: skip
        cfg = configs.load(SEGFORMER)
        for split in ('train', 'val', 'test'):
            cfg[f'{split}_dataloader'].dataset.update({'data_root': str(tmp_path), key: value})
        with in_scope(cfg):
            lines = list(inspect_data(cfg, 1))
            assert [line.kind for line in lines] == ['error', 'error']
            with pytest.raises(ValueError, match=r'^train_dataloader\.dataset\.'):
                check_data(cfg, ['train', 'val'])
