"""What a wheel holds: everything, and the configs where mim looks for them."""

import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

pytest.importorskip('mmengine')

import yaml

from sapa_mm.reproduction.metafiles import make_metafiles

ROOT = Path(__file__).parents[1]
CONFIGS = sorted(path.relative_to(ROOT) for path in (ROOT / 'configs').rglob('*.py'))


@pytest.fixture(scope='module')
def package(tmp_path_factory):
    """A folder with what the wheel installs."""
    folder = tmp_path_factory.mktemp('wheel')
    # A build leaves files in its tree.
    source = folder / 'source'
    source.mkdir()
    for name in ('sapa_mm', 'configs', 'tools'):
        shutil.copytree(ROOT / name, source / name)
    for name in (
        *ROOT.glob('*.py'),
        *ROOT.glob('*.cfg'),
        *ROOT.glob('*.toml'),
        *ROOT.glob('*.yml'),
    ):
        shutil.copy(name, source)
    for name in ('README.md', 'LICENSE', 'MANIFEST.in'):
        shutil.copy(ROOT / name, source)
    build = [sys.executable, '-m', 'pip', 'wheel', '--no-deps', '--no-build-isolation', '-q']
    subprocess.run([*build, '-w', folder, source], check=True)
    (wheel,) = folder.glob('*.whl')
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder / 'site')
    return folder / 'site' / 'sapa_mm'


def test_configs_load_and_metafiles_are_up_to_date(package):
    """From the wheel: a config whose base is missing there cannot be described."""
    for name, text in make_metafiles(str(package / '.mim' / 'configs')).items():
        assert (ROOT / name).read_text() == text, 'run tools/make_metafiles.py'


def test_modules_and_data(package):
    wanted = {
        path.relative_to(ROOT / 'sapa_mm')
        for path in (ROOT / 'sapa_mm').rglob('*.*')
        if path.suffix in ('.py', '.jinja', '.typed')
    }
    found = {path.relative_to(package) for path in package.rglob('*.*')}
    assert wanted < found


def test_mim_finds_every_config_once(package):
    mim = package / '.mim'
    named = []
    for metafile in yaml.safe_load((mim / 'model-index.yml').read_text())['Import']:
        content = yaml.safe_load((mim / metafile).read_text())
        collections = {one['Name'] for one in content['Collections']}
        for model in content['Models']:
            assert model['In Collection'] in collections
            assert model['Name'] == Path(model['Config']).stem
            named.append(Path(model['Config']))
    assert sorted(named) == [path for path in CONFIGS if path.parts[1] != '_base_']
    assert (mim / 'tools' / 'train.py').is_file()


def test_configs_are_complete(package):
    for path in CONFIGS:
        assert (package / '.mim' / path).read_bytes() == (ROOT / path).read_bytes()
