"""Export a model to ONNX or a program of torch.export; check its values.

Example:
    python tools/export.py CONFIG weights/NAME-HASH.safetensors --out model.onnx
    python tools/onnx_inference.py model.onnx image.jpg --out labels.png
"""

import argparse

from sapa_mm.deployment.export_model import export_model
from sapa_mm.engine.arguments import add_cfg_options, add_data_root, start_tool
from sapa_mm.utils.flags import exit_on


def make_parser() -> argparse.ArgumentParser:
    """Make the parser of the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        'config', help='config file of a segmentor, depth estimator or matting model'
    )
    parser.add_argument('checkpoint', help='checkpoint, or published weights')
    parser.add_argument('--out', required=True, help='file to write, .onnx or .pt2')
    parser.add_argument(
        '--images',
        nargs='+',
        default=[],
        help="images to check it on (default: the first of the config's test set)",
    )
    parser.add_argument(
        '--trimaps', nargs='+', default=[], help='of a matting model, the trimaps of --images'
    )
    add_data_root(parser)
    add_cfg_options(parser, 'settings with which it was trained')
    return parser


def main() -> None:
    """Run the tool."""
    parser = make_parser()
    args = start_tool(parser)
    with exit_on(parser, OSError, ValueError, RuntimeError, ImportError):
        table = export_model(**vars(args))
        print(f'{table}\n\nWritten: {args.out}')


if __name__ == '__main__':
    main()
