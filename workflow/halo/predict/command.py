"""Command line of ``halo predict``, which is also that of ``scripts/predict.py``."""

import argparse
from collections.abc import Callable
from typing import Any

from halo.cli import given_path, given_text
from halo.predict.default_bundle import default_bundle
from halo.predict.options import PredictOptions
from halo.predict.settings import FETCH, PREDICT, PredictSettings
from halo.structures.settings import TransportSettings

DESCRIPTION = "Predict the subcellular localization of proteins with a model bundle."
EPILOG = """\
Examples:
  halo predict proteins.fasta --bundle bundle/ -o out/
  halo predict accessions.txt --bundle bundle/ -o out/          one UniProt accession per line
  halo predict proteins.fasta --bundle bundle/ -o out/ --structures models/ --no-download

To resume an interrupted call, repeat it.
Open out/predictions.html in a browser; docs/how-to/predict.md describes all files in out/.
"""


def at_least(lowest: int) -> Callable[[str], int]:
    """An `argparse` type: whole numbers of at least `lowest`."""

    def whole_number(text: str) -> int:
        number = int(text)
        if number < lowest:
            raise argparse.ArgumentTypeError(f"{number} is below {lowest}")
        return number

    return whole_number


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    parser.add_argument(
        "proteins", type=given_path,
        help="FASTA, a table (CSV, TSV, xlsx) with the columns id and sequence, or a list of "
        "UniProt accessions; plain or compressed; - reads the standard input",
    )  # fmt: skip
    parser.add_argument(
        "--bundle", type=given_path, metavar="FOLDER",
        help="the model bundle (default: that of the package)",
    )  # fmt: skip
    parser.add_argument("-o", "--out", type=given_path, required=True, help="folder to write to")
    add_structures(parser)
    parser.add_argument(
        "--page", type=at_least(0), default=PredictOptions.page, metavar="N",
        help="explain the first N proteins residue by residue, in predictions.html and structures/ "
        "(default: %(default)s); the tables have the predictions of all proteins",
    )  # fmt: skip
    machine = add_machine(parser)
    machine.add_argument(
        "--embeddings", type=given_text, metavar="FILE",
        help="residue embeddings of the proteins by the same model: HDF5, or a folder of .npy or "
        ".pt files; no language model is needed",
    )  # fmt: skip


def add_structures(parser: argparse.ArgumentParser) -> Any:
    """Add the options of structures; their group."""
    structures = parser.add_argument_group("structures")
    structures.add_argument(
        "--structures", type=given_path, metavar="FOLDER",
        help="PDB or mmCIF files named <id>.pdb, <accession>.cif.gz or as in AlphaFold DB",
    )  # fmt: skip
    structures.add_argument(
        "--confidence", choices=("plddt", "none"), default=PredictOptions.confidence,
        help="meaning of the B-factor of these files (none: experimental structures)",
    )  # fmt: skip
    structures.add_argument(
        "--no-download", action="store_true", help="do not download structures from AlphaFold DB"
    )
    structures.add_argument(
        "--afdb", type=given_text, metavar="URL", help="a mirror of AlphaFold DB"
    )
    return structures


def add_machine(parser: argparse.ArgumentParser) -> Any:
    """Add the options of the language model and the machine; their group."""
    parser.add_argument(
        "--max-length", type=at_least(1), default=40_000, metavar="RESIDUES",
        help="reject longer proteins; memory increases with length (default: 40000)",
    )  # fmt: skip
    machine = parser.add_argument_group("language model and machine")
    machine.add_argument(
        "--language-model", type=given_path, metavar="FILE",
        help="checkpoint or folder of the bundle's language model; by default that of the bundle, "
        "one in Hugging Face's cache, or a published ESM-2, which is downloaded once",
    )  # fmt: skip
    machine.add_argument(
        "--store", type=given_path,
        help="keep structures, embeddings and graphs in this store, which can be shared",
    )  # fmt: skip
    machine.add_argument(
        "--stage", choices=(FETCH, PREDICT),
        help="only download (fetch), or only predict with downloaded files, for machines without "
        "internet; needs --store",
    )  # fmt: skip
    machine.add_argument(
        "--device", choices=("auto", "cuda", "cpu"), default="auto",
        help="auto: a GPU if available; cuda: require a GPU (default: auto)",
    )  # fmt: skip
    machine.add_argument(
        "--precision", choices=("auto", "float32", "bfloat16", "float16"),
        help="precision of the language model (default: that of the bundle's training)",
    )  # fmt: skip
    machine.add_argument("--threads", type=at_least(1), default=1, help="CPU threads (default: 1)")
    machine.add_argument(
        "--chunk", type=at_least(1), default=PredictOptions.chunk,
        help="proteins per chunk (default: %(default)s); fewer need less memory",
    )  # fmt: skip
    return machine


def predict_settings(arguments: argparse.Namespace) -> PredictSettings:
    """The settings that the options say."""
    transport = dict(arguments.settings)
    if arguments.afdb:
        transport["base_url"] = arguments.afdb
    return PredictSettings(
        structures=arguments.structures,
        confidence=arguments.confidence,
        download=not arguments.no_download,
        store=arguments.store,
        language_model=arguments.language_model,
        embeddings=arguments.embeddings,
        device=arguments.device,
        precision=arguments.precision,
        threads=arguments.threads,
        chunk=arguments.chunk,
        max_length=arguments.max_length,
        page=arguments.page,
        stage=arguments.stage,
        transport=TransportSettings(**transport),
    )


def job(arguments: argparse.Namespace) -> None:
    """Predict."""
    from halo.predict.run import fetch, predict  # loads PyTorch: not for --help

    settings = predict_settings(arguments)
    work = fetch if arguments.stage == FETCH else predict
    bundle = default_bundle() if arguments.bundle is None else arguments.bundle
    work(arguments.proteins, bundle, arguments.out, settings)
