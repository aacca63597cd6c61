"""Missing and damaged files of segmentation datasets are named; other datasets pass."""

import pytest
from mmengine.registry import DATASETS, init_default_scope

from sapa_mm.datasets.checks.segmentation_files import find_file_problems
from sapa_mm.utils.configs import single_datasets


def check_dataset(dataset, name='dataset'):
    for key, single in single_datasets(dataset, name):
        for line in find_file_problems(single, key):
            raise ValueError(line.text)


def lines_of(dataset):
    return [(line.kind, line.text) for line in find_file_problems(dataset, 'train')]


LOADING = [{'type': 'LoadImageFromFile'}, {'type': 'LoadAnnotations'}]


@pytest.fixture
def seg(tmp_path):
    pytest.importorskip('mmseg')
    for folder, suffix in (('images', 'jpg'), ('maps', 'png')):
        (tmp_path / folder / 'deep').mkdir(parents=True)
        for name in ('a', 'b', 'deep/c'):
            (tmp_path / folder / f'{name}.{suffix}').write_bytes(b'0')
    return {
        'type': 'mmseg.ADE20KDataset',
        'data_root': str(tmp_path),
        'data_prefix': {'img_path': 'images', 'seg_map_path': 'maps'},
        'pipeline': LOADING,
    }


def test_good_datasets_pass(seg):
    check_dataset(seg)
    check_dataset({'type': 'RepeatDataset', 'times': 2, 'dataset': seg})
    check_dataset({'type': 'ConcatDataset', 'datasets': [seg, seg]})


def test_missing_folder_is_named_through_wrappers(seg, tmp_path):
    seg['data_prefix']['img_path'] = 'nowhere'
    wrapped = {'type': 'ConcatDataset', 'datasets': [{'type': 'RepeatDataset', 'dataset': seg}]}
    message = rf'train\.datasets\.0\.dataset\.data_prefix\.img_path: no folder {tmp_path}/nowhere'
    with pytest.raises(ValueError, match=message):
        check_dataset(wrapped, 'train')


def test_missing_scenes_can_be_made(seg):
    with pytest.raises(ValueError, match=r'make_scenes\.py data/scenes --kind scenes$'):
        check_dataset({**seg, 'data_root': 'data/scenes'})


def test_no_images(seg, tmp_path):
    seg['img_suffix'] = '.tif'
    with pytest.raises(ValueError, match=r'img_path: no images \(\*\.tif\) in .*images'):
        check_dataset(seg)


def test_images_without_annotations(seg, tmp_path):
    for name in ('a', 'deep/c'):
        (tmp_path / 'maps' / f'{name}.png').unlink()
    message = r'seg_map_path: 2 files are missing in .*maps: a\.png, deep/c\.png$'
    with pytest.raises(ValueError, match=message):
        check_dataset(seg)
    seg['pipeline'] = LOADING[:1]  # nothing reads them
    check_dataset(seg)


def test_images_that_are_not_read(seg, tmp_path):
    for name in ('b.JPG', 'c.jpeg', 'deep/d.JPG', 'notes.txt', '.a.jpg'):
        (tmp_path / 'images' / name).write_bytes(b'0')
    (tmp_path / 'images' / 'linked.jpg').symlink_to('gone.jpg')
    (tmp_path / 'maps' / 'z.png').write_bytes(b'0')
    key = f'train.data_prefix.img_path: {{}} {tmp_path}/images'
    assert lines_of(seg) == [
        (
            'note',
            f'{key.format("3 images in")} are not read, since img_suffix is .jpg: 2 .JPG, 1 .jpeg '
            '(such as b.JPG)',
        ),
        ('note', f'{key.format("1 links in")} lead nowhere: linked.jpg'),
        (
            'note',
            f'train.data_prefix.seg_map_path: 1 label maps in {tmp_path}/maps have no image: z.png',
        ),
    ]
    seg['img_suffix'] = '.bmp'
    assert lines_of(seg)[0][1].endswith('; it has 3 .jpg, 2 .JPG, 1 .jpeg')


def test_no_folder_of_label_maps(seg):
    del seg['data_prefix']['seg_map_path']
    ((kind, text),) = lines_of(seg)
    assert kind == 'error'
    assert text.startswith('train.data_prefix has no seg_map_path, ')
    seg['pipeline'] = LOADING[:1]
    assert lines_of(seg) == []


def test_images_and_label_maps_in_one_folder(seg, tmp_path):
    for name in ('a', 'b', 'deep/c'):
        (tmp_path / 'images' / f'{name}.png').write_bytes(b'0')
    seg['data_prefix']['seg_map_path'] = 'images'
    assert lines_of(seg) == []


def test_label_maps_that_are_taken_for_images(seg, tmp_path):
    for name in ('a', 'b', 'deep/c'):
        (tmp_path / 'maps' / f'{name}_mask.png').write_bytes(b'0')
    seg.update(img_suffix='.png', seg_map_suffix='_mask.png')
    seg['data_prefix']['img_path'] = 'maps'
    ((_, text),) = lines_of(seg)
    assert 'files that end in _mask.png are taken for images, too, since img_suffix is .png' in text
    (tmp_path / 'list.txt').write_text('a\nb\ndeep/c\n')
    assert lines_of({**seg, 'ann_file': 'list.txt'}) == []


def test_empty_files(seg, tmp_path):
    (tmp_path / 'images' / 'a.jpg').write_bytes(b'')
    (tmp_path / 'maps' / 'deep' / 'c.png').write_bytes(b'')
    assert lines_of(seg) == [
        (
            'error',
            f'train.data_prefix.{key}: 1 files in {tmp_path}/{folder} are empty: {name}',
        )
        for key, folder, name in (
            ('img_path', 'images', 'a.jpg'),
            ('seg_map_path', 'maps', 'deep/c.png'),
        )
    ]


@pytest.mark.parametrize(
    ('name', 'changes', 'hint'),
    [
        ('b.PNG', {}, '; there is b.PNG'),
        ('b_mask.png', {}, '; there is b_mask.png'),
        ('b.png', {'img_suffix': 'jpg'}, "; img_suffix is 'jpg', without a dot"),
        ('b.png', {'img_suffix': ('.jpg', '.png')}, r'train.img_suffix takes one ending, got '),
    ],
)
def test_names_that_do_not_fit(seg, tmp_path, name, changes, hint):
    (tmp_path / 'maps' / 'b.png').rename(tmp_path / 'maps' / name)
    assert hint in lines_of({**seg, **changes})[0][1]


def test_accents_in_two_forms(seg, tmp_path):
    (tmp_path / 'images' / 'b.jpg').rename(tmp_path / 'images' / 'e\u0301.jpg')
    (tmp_path / 'maps' / 'b.png').rename(tmp_path / 'maps' / '\u00e9.png')
    assert lines_of(seg)[0][1].endswith(
        '; there, the accents of the name have another Unicode form (NFC, NFD)'
    )


def test_label_map_that_is_a_broken_link(seg, tmp_path):
    (tmp_path / 'maps' / 'b.png').unlink()
    (tmp_path / 'maps' / 'b.png').symlink_to('gone.png')
    ((kind, text),) = lines_of(seg)
    assert kind == 'error'
    assert text.endswith(': b.png; 1 are links that lead nowhere')


@pytest.mark.parametrize(
    ('text', 'expected'),
    [
        ('a\r\ndeep/c \r\n', []),
        ('./a\ndeep//c\ndeep/../b\n', []),
        ('a\n\nb\n', [('error', 'line 2 of {} is blank, ')]),
        ('', [('error', '{} lists no images')]),
        ('\ufeffa\nb\n', [('error', '{} begins with a byte-order mark, ')]),
        ('a\nb\na\n', [('note', '{} lists 1 images more than once: a')]),
        ('a.jpg\nb\n', [('error', 'a.jpg.jpg; ann_file must list names without .jpg')]),
    ],
)
def test_lists_as_the_world_writes_them(seg, tmp_path, text, expected):
    (tmp_path / 'list.txt').write_text(text, encoding='utf-8', newline='')
    lines = lines_of({**seg, 'ann_file': 'list.txt'})
    if 'without' in str(expected):
        del lines[1:]  # the label maps are missing, too
    assert [kind for kind, _ in lines] == [kind for kind, _ in expected]
    for (_, line), (_, part) in zip(lines, expected, strict=True):
        assert part.format(tmp_path / 'list.txt') in line


def test_list_of_images(seg, tmp_path):
    (tmp_path / 'list.txt').write_text('a\ndeep/c\n')
    (tmp_path / 'maps' / 'b.png').unlink()  # not in the list
    seg['ann_file'] = 'list.txt'
    check_dataset(seg)
    (tmp_path / 'list.txt').write_text('a\nz\n')
    with pytest.raises(ValueError, match=r'img_path: 1 files are missing in .*: z\.jpg$'):
        check_dataset(seg)


def test_list_of_images_of_all_kinds(seg, tmp_path):
    """Names with their endings, and label maps that are named after them."""
    (tmp_path / 'images' / 'b.jpg').rename(tmp_path / 'images' / 'b.PNG')
    for name in ('a.jpg', 'b.PNG'):
        (tmp_path / 'maps' / f'{name}.png').write_bytes(b'0')
    (tmp_path / 'list.txt').write_text('a.jpg\nb.PNG\n')
    seg.update(ann_file='list.txt', img_suffix='')
    assert lines_of(seg) == []
    (tmp_path / 'maps' / 'b.PNG.png').unlink()
    ((kind, text),) = lines_of(seg)
    assert kind == 'error'
    assert f' 1 files are missing in {tmp_path}/maps: b.PNG.png' in text


def test_list_in_another_encoding(seg, tmp_path):
    (tmp_path / 'list.txt').write_text('a\n', encoding='utf-16')
    ((kind, text),) = lines_of({**seg, 'ann_file': 'list.txt'})
    assert kind == 'error'
    assert text.startswith(f'train.ann_file: {tmp_path}/list.txt must be UTF-8: ')


def test_suffixes_of_the_class(tmp_path):
    pytest.importorskip('mmseg')
    (tmp_path / 'x_leftImg8bit.png').write_bytes(b'0')
    (tmp_path / 'x_gtFine_labelTrainIds.png').write_bytes(b'0')
    prefix = {'img_path': str(tmp_path), 'seg_map_path': str(tmp_path)}
    cityscapes = {'type': 'CityscapesDataset', 'data_prefix': prefix, 'pipeline': LOADING}
    init_default_scope('mmseg')
    check_dataset(cityscapes)
    (tmp_path / 'x_gtFine_labelTrainIds.png').unlink()
    with pytest.raises(ValueError, match='x_gtFine_labelTrainIds'):
        check_dataset(cityscapes)


def test_other_datasets_are_left_alone():
    class Own:
        def load_data_list(self):
            return []

    check_dataset(None)
    check_dataset({'type': Own, 'data_root': 'nowhere'})
    check_dataset({'type': 'NeverHeardOf', 'data_root': 'nowhere'})
    check_dataset({'type': 'ADE20KDataset', 'backend_args': {'backend': 'petrel'}})
    assert DATASETS.get('NeverHeardOf') is None
