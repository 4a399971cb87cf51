"""Baselines without training: label frequencies, and transfer from the best homology hit."""
