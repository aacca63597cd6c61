"""Export a segmentor to ONNX or to a program of torch.export, and check its values.

Example:
    python tools/export.py CONFIG weights/NAME-HASH.safetensors --out segformer.onnx
    python tools/onnx_inference.py segformer.onnx image.jpg --out labels.png
"""

import argparse

from sapa_mm.deployment.export_model import export_model
from sapa_mm.engine.arguments import add_cfg_options, exit_on


def parse_args() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('config', help='config file of a segmentor')
    parser.add_argument('checkpoint', help='checkpoint, or published weights')
    parser.add_argument('--out', required=True, help='file to write, .onnx or .pt2')
    parser.add_argument(
        '--images',
        nargs='+',
        default=[],
        help="images to check it on (default: the first of the config's test set)",
    )
    add_cfg_options(parser, 'settings with which it was trained')
    return parser.parse_args()


def main() -> None:
    """Run the tool."""
    args = parse_args()
    with exit_on(OSError, ValueError, RuntimeError, ImportError):
        table = export_model(**vars(args))
    print(f'{table}\n\nWritten: {args.out}')


if __name__ == '__main__':
    main()
