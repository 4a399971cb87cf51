"""Command line of ``halo variants``, which is also that of ``scripts/variants.py``."""

import argparse

from halo.cli import given_path
from halo.predict.command import add_machine, add_structures, at_least, predict_settings
from halo.predict.default_bundle import default_bundle
from halo.predict.settings import FETCH
from halo.variants.scan import SCANS, SUBSTITUTIONS, WINDOW
from halo.variants.settings import RANDOM, VariantSettings

DESCRIPTION = "Predict what changes of the sequence do to the localization of proteins."
EPILOG = """\
Examples:
  halo variants wildtype.fasta variants.csv --bundle bundle/ -o out/
  halo variants wildtype.fasta mutants.fasta --bundle bundle/ -o out/ --no-structure
  halo variants wildtype.fasta --scan --bundle bundle/ -o out/

variants.txt has a change in HGVS protein notation in each line: R97C, p.Gln5Ter, K23_V25del.
To resume an interrupted call, repeat it.
Open out/variants.html in a browser; docs/how-to/variants.md describes input and output.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    parser.add_argument(
        "wildtype", type=given_path,
        help="the wild types: FASTA, table or list of UniProt accessions, as for halo predict",
    )  # fmt: skip
    parser.add_argument(
        "variants", type=given_path, nargs="?",
        help="list with a change in each line, table (CSV, TSV, xlsx) with the column variant, VCF "
        "with HGVS p. annotations, or FASTA of variants; - reads the standard input",
    )  # fmt: skip
    parser.add_argument(
        "--bundle", type=given_path, metavar="FOLDER",
        help="the model bundle (default: that of the package)",
    )  # fmt: skip
    parser.add_argument("-o", "--out", type=given_path, required=True, help="folder to write to")
    parser.add_argument(
        "--scan", choices=SCANS, nargs="?", const=SUBSTITUTIONS,
        help="also predict all substitutions, all substitutions by alanine, or the deletions of "
        "all windows of each wild type (default without a value: substitutions)",
    )  # fmt: skip
    parser.add_argument(
        "--window", type=at_least(1), default=WINDOW, metavar="RESIDUES",
        help="length of the windows that --scan deletions deletes (default: %(default)s)",
    )  # fmt: skip
    parser.add_argument(
        "--random", type=at_least(0), default=RANDOM, metavar="N",
        help="compare each variant to N random substitutions of its wild type at as many places "
        "(default: %(default)s; 0: no p-values)",
    )  # fmt: skip
    structures = add_structures(parser)
    structures.add_argument(
        "--no-structure", action="store_true", help="use no structure, that of the wild type too"
    )
    parser.add_argument(
        "--regions", type=at_least(0), default=100, metavar="N", dest="page",
        help="compute the regions of the first N wild types, to say whether a variant changes one "
        "(default: %(default)s)",
    )  # fmt: skip
    add_machine(parser)
    parser.set_defaults(embeddings=None)  # a file has none of variants


def job(arguments: argparse.Namespace) -> None:
    """Predict the variants."""
    from halo.predict.run import fetch  # loads PyTorch: not for --help
    from halo.variants.run import variants

    settings = VariantSettings(
        scan=arguments.scan,
        window=arguments.window,
        random=arguments.random,
        structure=not arguments.no_structure,
        predict=predict_settings(arguments),
    )
    bundle = default_bundle() if arguments.bundle is None else arguments.bundle
    if arguments.stage == FETCH:
        fetch(arguments.wildtype, bundle, arguments.out, settings.predict)
        return
    variants(arguments.wildtype, arguments.variants, bundle, arguments.out, settings)
