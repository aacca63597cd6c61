"""What README and docs print runs as it stands: Python, and the command lines up to the work."""

import argparse
import importlib
import inspect
import pkgutil
import re
import runpy
import shlex
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

pytest.importorskip('mmseg')
pytest.importorskip('mmdet')

from mmengine.config import Config
from mmengine.registry import DATASETS, LOOPS, METRICS, MODELS, init_default_scope
from PIL import Image
from torch import Tensor, nn

from sapa_mm.datasets import CLASSES, PALETTE, generate_scene
from sapa_mm.engine.published import write_published
from sapa_mm.upsamplers import UPSAMPLERS, Upsampler, build_upsampler
from sapa_mm.upsamplers.resize import nearest_resize
from sapa_mm.utils.configs import nested_configs

from .support.configs import A2U_MATTING, DEPTHFORMER, MASK_RCNN

ROOT = Path(__file__).parents[1]
PAGES = [
    *(ROOT / name for name in ('README.md', 'CONTRIBUTING.md', 'SECURITY.md', 'ops/README.md')),
    *sorted((ROOT / 'docs').glob('*.md')),
]
SEGFORMER = ROOT / 'configs/segformer/segformer_mit-tiny_sapa-d_1xb8-300_scenes-128x128.py'
DEPTH = ROOT / 'configs' / DEPTHFORMER.format('sapa-d')
MATTING = ROOT / 'configs' / A2U_MATTING.format('sapa-d')
DETECTOR = ROOT / 'configs' / MASK_RCNN.format('sapa-d')
PANOPTIC = ROOT / 'configs/panoptic_fpn/panoptic-fpn_r18-small_sapa-d_1xb8-300_scenes-160x160.py'
SETUP = (ROOT / 'setup.cfg').read_text()
MAKEFILE = (ROOT / 'Makefile').read_text()


def read_blocks(page, language):
    return re.findall(rf'```{language}\n(.*?)```', page.read_text(), re.S)


def read_rows(page, heading):
    """The cells of the first table after a heading."""
    text = page.read_text().partition(heading)[2]
    table = re.search(r'^\|.*?(?=\n\n)', text, re.S | re.M)[0]
    return [[cell.strip() for cell in row.strip('|').split('|')] for row in table.split('\n')[2:]]


def cases(language):
    return [
        pytest.param(block, id=f'{page.relative_to(ROOT)}-{number}')
        for page in PAGES
        for number, block in enumerate(read_blocks(page, language))
    ]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """With a config, its published weights, an image and its trimap."""
    monkeypatch.chdir(tmp_path)
    meta = dict(classes=CLASSES, palette=[list(map(int, color)) for color in PALETTE])
    write_model(SEGFORMER, 'config.py', 'weights.safetensors', meta)
    Image.fromarray(generate_scene(0, size=(96, 80)).image).save('image.jpg')
    trimap = np.repeat(np.uint8([0, 102, 255]), 32)[:, None].repeat(80, 1)
    Image.fromarray(trimap).save('trimap.png')
    return tmp_path


def write_model(config, copy, weights, meta):
    """Writes a config and random weights of it into the working directory."""
    cfg = Config.fromfile(config)
    init_default_scope(cfg.default_scope)
    torch.manual_seed(0)
    model = MODELS.build(cfg.model)
    if cfg.default_scope == 'mmdet':  # for boxes of a high score
        nn.init.normal_(model.roi_head.bbox_head.fc_cls.weight, std=1.0)
    path = write_published('.', cfg, model.state_dict(), {'mIoU': 1.0}, meta)
    Path(path).rename(weights)
    cfg.dump(copy)


@pytest.fixture
def own_upsampler(monkeypatch):
    """The class of docs/config.md, registered for the time of a test, as module my_upsampler."""
    (text,) = (
        block for block in read_blocks(ROOT / 'docs/config.md', 'python') if 'Gated' in block
    )
    module = type(sys)('my_upsampler')
    exec(text, vars(module))
    monkeypatch.setitem(sys.modules, 'my_upsampler', module)
    yield module.Gated
    MODELS.module_dict.pop('gated')


def check_config(names):
    """Builds what a block says of the model of a small config; other types must be known."""
    for module in names['custom_imports']['imports']:
        importlib.import_module(module)
    model = names.get('model', {})
    if 'type' in model:
        check_whole_config(names)
        return
    cfg = Config.fromfile(PANOPTIC if 'neck' in model else SEGFORMER)
    init_default_scope(cfg.default_scope)
    for part, settings in model.items():
        cfg.model[part].pop('upsample_cfg')
        cfg.model[part].update(settings)
        built = MODELS.build(cfg.model[part])
        assert type(built).__name__ == settings['type']
        (kind,) = {type(upsampler) for upsampler in built.upsamplers}
        wanted = settings['upsample_cfg']
        assert type(build_upsampler(wanted, 64)) is kind
    for key, value in names.items():
        if key in ('load', 'val_evaluator', 'custom_hooks'):
            for one in value if isinstance(value, list) else [value]:
                assert any(one['type'] in registry for registry in registries()), one['type']


def check_whole_config(names):
    """Builds the model of a config that has all parts, and what its data need."""
    init_default_scope(names['default_scope'])
    model = MODELS.build(names['model'])
    wanted = names['model'].get('decode_head', names['model'])['upsample_cfg']
    built = {type(one) for one in model.modules() if isinstance(one, Upsampler)}
    assert built == {type(build_upsampler(wanted, 64))}
    for split in ('train', 'val', 'test'):
        dataset = names[f'{split}_dataloader']['dataset']
        assert DATASETS.build(dict(dataset, lazy_init=True)).pipeline.transforms
    assert METRICS.build(names['val_evaluator'])
    for _, one in nested_configs([names[key] for key in names if key.endswith('_cfg')], ''):
        assert one.get('type', 'TestLoop') in LOOPS


def registries():
    from mmdet.registry import METRICS as DETECTION
    from mmdet.registry import TRANSFORMS
    from mmengine.registry import HOOKS, METRICS
    from mmseg.registry import METRICS as SEGMENTATION

    return DETECTION, SEGMENTATION, METRICS, TRANSFORMS, HOOKS


@pytest.mark.parametrize('block', cases('python'))
def test_python(block, folder, own_loaders, request, capsys):
    names = {}
    if "'my_upsampler'" in block:
        request.getfixturevalue('own_upsampler')
    elif 'register_module' in block:
        names = vars(importlib.import_module(request.getfixturevalue('own_upsampler').__module__))
        block = ''
    elif 'class Gated' in block:  # CONTRIBUTING.md, whose file has imports of its own
        names = dict(Upsampler=Upsampler, Tensor=Tensor, nn=nn, nearest_resize=nearest_resize)
    if 'depth.safetensors' in block:
        write_model(DEPTH, 'depth.py', 'depth.safetensors', {})
    if 'matting.safetensors' in block:
        write_model(MATTING, 'matting.py', 'matting.safetensors', {})
    if 'detector.safetensors' in block:
        write_model(DETECTOR, 'detector.py', 'detector.safetensors', dict(classes=CLASSES[:6]))
    if "'person'" in block:
        classes = ['person' if name == 'sky' else name for name in CLASSES]
        write_model(SEGFORMER, 'config.py', 'weights.safetensors', dict(classes=classes))
    exec(block, names)
    if 'custom_imports' in names:
        check_config(names)
    if 'Gated' in names:
        out = names['Gated'](32, 16)(torch.randn(1, 32, 5, 6), torch.randn(1, 16, 9, 12))
        assert out.shape == (1, 32, 9, 12)
        assert names['Gated'](32, 16).flops_per_position() == 4 * 16 * 32
    for name in ('out', 'high', 'weight'):  # their shapes are in comments
        shape = re.search(rf'^{name} = .*# (\(.*?\))', block, re.M)
        if shape:
            assert tuple(names[name].shape) == eval(shape[1])
    if 'labels.png' in block:
        assert names['labels'].shape == (96, 80)
        assert set(names['names']) <= set(CLASSES)
        assert Image.open('labels.png').size == (80, 96)
    if 'inference_matting' in block:
        assert names['alpha'].shape == (96, 80)
        assert 0 <= names['alpha'].min() < names['alpha'].max() <= 1
    if 'make_trimap' in block:
        trimap, mask = names['trimap'], names['mask'].numpy()
        known = trimap != 128
        assert 0 < known.mean() < 1
        assert (trimap[known] == 255 * mask[known]).all()
        assert (names['alpha'][known] == mask[known]).all()
    if 'pred_depth_map' in block:
        assert names['depth'].shape == (96, 80)
        assert 0 < names['depth'].min() < names['depth'].max() <= 10
    if 'published.metrics' in block:
        assert "{'mIoU': 1.0}" in capsys.readouterr().out


class Parsed(Exception):
    """Raised where a tool's work would begin."""


def parse(tool, arguments, monkeypatch):
    """Runs a tool until its command line is parsed; a wrong one ends in SystemExit."""
    stock = argparse.ArgumentParser.parse_args

    def parse_args(parser, *args):
        raise Parsed(stock(parser, *args))

    monkeypatch.setattr(argparse.ArgumentParser, 'parse_args', parse_args)
    monkeypatch.setattr(sys, 'argv', [str(tool), *arguments])
    with pytest.raises(Parsed):
        runpy.run_path(str(tool), run_name='__main__')


def read_commands(block):
    """Its commands as lists of words, without variables set for them and redirections."""
    for line in block.replace('\\\n', ' ').splitlines():
        lexer = shlex.shlex(line, posix=True, punctuation_chars='();&|>')
        lexer.whitespace_split = True
        command = []
        for word in [*lexer, ';']:
            if set(word) <= set('();&|>'):
                if command:
                    yield command
                command = []
            elif command or not re.fullmatch(r'\w+=.*', word):
                command.append(word)


@pytest.mark.parametrize('block', cases('bash'))
def test_commands(block, monkeypatch):
    for command in read_commands(block):
        tools = [word for word in command if re.fullmatch(r'(tools|ops/\w+)/\w+\.(py|sh)', word)]
        for path in tools:
            assert (ROOT / path).is_file(), path
        for word in command:
            # Braces stand for one of several names, capitals for somebody's own file.
            if re.match(r'(configs|tests|docs)/', word):
                assert list(ROOT.glob(word.replace('{}', '*'))), word
        if tools and tools[0].startswith('tools'):
            parse(ROOT / tools[0], command[command.index(tools[0]) + 1 :], monkeypatch)
        elif command[0] == 'make':
            for target in command[1:]:
                assert '=' in target or re.search(rf'^{target}:', MAKEFILE, re.M), target
        elif command[:2] == ['pip', 'install']:
            for extra in re.findall(r'\.\[(\w+)\]', ' '.join(command)):
                assert f'\n{extra} =\n' in SETUP, extra
        elif command[:2] == ['python', '-c']:
            exec(command[2], {})


def test_every_upsampler_is_listed_with_its_options():
    listed = {}
    for name, options in read_rows(ROOT / 'docs/config.md', '## The upsamplers'):
        listed[name.strip('`')] = options.strip('`')
    for name, upsampler in UPSAMPLERS.items():
        options = [*inspect.signature(upsampler).parameters.values()][3:]
        assert listed.pop(name) == ', '.join(f'{one.name}={one.default!r}' for one in options)
    assert not listed
    types = read_rows(ROOT / 'README.md', 'The types are:')
    assert {name for row in types for name in re.findall(r'`(\w+)`', row[0])} == {*UPSAMPLERS}


def test_links():
    for page in PAGES:
        for link in re.findall(r'\]\(([^)#]+)(?:#[^)]*)?\)', page.read_text()):
            assert link.startswith('https://') or (page.parent / link).exists(), (page, link)


def test_configs_of_the_table_of_results():
    for config, *_ in read_rows(ROOT / 'README.md', '## Results'):
        for name in ('carafe', 'fade', 'sapa-b', 'sapa-d'):
            assert (ROOT / 'configs' / config.strip('`').replace('{}', name)).is_file()


def test_api_pages_name_what_there_is():
    for page in (ROOT / 'docs/api').glob('*.md'):
        for path in re.findall(r'^::: (\S+)', page.read_text(), re.M):
            pkgutil.resolve_name(path)
    # These pages list the members; metrics are with their kind.
    pages = dict(upsamplers='upsamplers', depth='models', matting='matting')
    for package, page in pages.items():
        members = (ROOT / f'docs/api/{page}.md').read_text()
        for name in importlib.import_module(f'sapa_mm.{package}').__all__:
            if name != 'UPSAMPLERS' and not name.endswith('Metric'):
                assert re.search(rf'\b{name}\b', members), name


def test_citations_of_the_reference():
    """Code and tests that name a section of docs/reference.md name one that is there."""
    sections = re.findall(r'^## (.*)', (ROOT / 'docs/reference.md').read_text(), re.M)
    for folder in ('sapa_mm', 'ops/sapa_ops', 'tests'):
        for path in (ROOT / folder).rglob('*.py'):
            for section in re.findall(r'docs/reference\.md,\s(?:# )?"(.*?)"', path.read_text()):
                assert section in sections, (path, section)
