"""Whatever the package imports is declared in setup.cfg."""

import ast
import configparser
import re
import sys
from pathlib import Path

import pytest
import sapa_ops
from packaging.specifiers import SpecifierSet

import sapa_mm

ROOT = Path(__file__).parents[1]
#: Distributions by the name of their module, where the two differ.
DISTRIBUTIONS = {'PIL': 'pillow', 'cv2': 'opencv-python', 'yaml': 'pyyaml', 'sapa_ops': 'sapa-ops'}
STACKS = {
    'openmmlab': {'mmseg': 'mmsegmentation'},
    'onedl': {
        'mmcv': 'onedl-mmcv',
        'mmdet': 'onedl-mmdetection',
        'mmengine': 'onedl-mmengine',
        'mmseg': 'onedl-mmsegmentation',
    },
}


def imported_modules():
    for path in (ROOT / 'sapa_mm').rglob('*.py'):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                yield from (alias.name for alias in node.names)
            elif isinstance(node, ast.ImportFrom) and not node.level:
                yield node.module


def read_config():
    config = configparser.ConfigParser()
    config.read(ROOT / 'setup.cfg')
    return config


def declared(extra):
    """The distributions that a stack, with export and matting, installs."""
    config = read_config()
    extras = config['options.extras_require']
    text = '\n'.join(
        [config['options']['install_requires'], extras[extra], extras['export'], extras['matting']]
    )
    text = text.replace('sapa_mm[common]', extras['common'])
    names = re.findall(r'^\s*([\w-]+)', re.sub('#.*', '', text), re.M)
    return {name.lower().replace('_', '-') for name in names}


@pytest.mark.parametrize('stack', STACKS)
def test_what_is_imported_is_declared(stack):
    modules = {name.partition('.')[0] for name in imported_modules()} - {'sapa_mm'}
    distributions = DISTRIBUTIONS | STACKS[stack]
    names = {distributions.get(name, name) for name in modules - sys.stdlib_module_names}
    assert {'pillow', 'opencv-python', 'torch'} < names
    assert names <= declared(stack)


def test_operators_are_those_of_the_same_minor_version():
    required = read_config()['options']['install_requires']
    allowed = SpecifierSet(re.search('^sapa_ops(.*)$', required, re.M)[1], prereleases=True)
    major, minor = map(int, sapa_mm.__version__.split('.')[:2])
    assert sapa_ops.__version__ == sapa_mm.__version__
    assert sapa_ops.__version__ in allowed
    assert f'{major}.{minor}.99' in allowed
    assert f'{major}.{minor - 1}.99' not in allowed
    assert f'{major}.{minor + 1}' not in allowed
