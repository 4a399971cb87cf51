"""HALO: hybrid attention model for the subcellular localization of proteins."""

__version__ = "0.1.0"
