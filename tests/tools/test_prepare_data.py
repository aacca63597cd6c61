"""tools/prepare_data.py."""

import pytest

pytest.importorskip('mmcv')

from ..support.camvid_data import SPLITS, write_camvid
from ..support.matting_data import write_plain
from ..support.run_tool import TOOLS, call_tool, run_tool

CAMVID = 'configs/segformer/segformer_mobilenet-v2_bilinear_1xb8-1200_camvid-192x192.py'


@pytest.mark.parametrize(('encoding', 'suffix'), [(None, '.jpg'), ('png', '.png')])
def test_camvid(tmp_path, capsys, encoding, suffix):
    """Our config takes what the tool writes, with the option for PNG that the help names."""
    pytest.importorskip('mmseg')
    write_camvid(tmp_path / 'source')
    flags = ['--encoding', encoding] if encoding else []
    assert not call_tool('prepare_data', 'camvid', tmp_path / 'source', tmp_path / 'root', *flags)
    assert capsys.readouterr().out.endswith('\n12 files written\n')
    options = [f'{split}_dataloader.dataset.img_suffix={suffix}' for split in SPLITS]
    arguments = ['--data-root', tmp_path / 'root', *(['--cfg-options', *options] if flags else [])]
    code = call_tool('check_data', TOOLS.parent / CAMVID, *arguments)
    lines = capsys.readouterr().out.splitlines()
    assert [line for line in lines if line.startswith(('error: ', 'note: ', 'right: '))] == [
        f'right: {split}_dataloader.dataset: 2 images, 2 of them opened, with their annotations'
        for split in SPLITS
    ]
    assert code == 0


def test_plain(tmp_path, capsys):
    write_plain(tmp_path)
    output = run_tool('prepare_data', 'plain', tmp_path, '--num-backgrounds', 2)
    assert output.endswith('\n6 images composed\n')
    assert len(list((tmp_path / 'merged').iterdir())) == 6
    assert len(list((tmp_path / 'trimaps').iterdir())) == 6
    assert not call_tool('prepare_data', 'plain', tmp_path, '--num-backgrounds', 2)
    assert capsys.readouterr().out.endswith('\n0 images composed\n')


def test_bad_input(error_of, tmp_path):
    error = error_of('prepare_data', 'comp1k', tmp_path, tmp_path)
    assert error.startswith('error: MattingDataset: data_prefix.fg_path: no folder ')
    error = error_of('prepare_data', 'plain', tmp_path, '--num-backgrounds', 0)
    assert error == 'error: --num-backgrounds must be 1 or more, got 0'
    error = error_of('prepare_data', 'camvid', tmp_path / 'nowhere', tmp_path)
    assert error == f'error: source: no folder {tmp_path / "nowhere"}'


def test_camvid_of_two_encodings(error_of, tmp_path):
    write_camvid(tmp_path / 'source')
    arguments = ['prepare_data', 'camvid', tmp_path / 'source', tmp_path / 'root']
    assert not call_tool(*arguments)
    error = error_of(*arguments, '--encoding', 'png')
    assert error.startswith(f'error: --encoding: {tmp_path}/root/images/train/train_0.jpg is there')
    assert '; --overwrite replaces it; ' in error
