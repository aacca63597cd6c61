"""Write model-index.yml and the metafiles of the configs, from which mim reads them."""

import argparse
from pathlib import Path

from sapa_mm.reproduction.metafiles import make_metafiles
from sapa_mm.utils.files import write_whole


def main() -> None:
    """Run the tool."""
    argparse.ArgumentParser(description=__doc__).parse_args()
    root = Path(__file__).parents[1]
    for name, text in make_metafiles(str(root / 'configs')).items():
        write_whole(str(root / name), text)


if __name__ == '__main__':
    main()
