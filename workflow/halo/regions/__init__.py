"""Regions of the sequence, such as signal peptides: annotations, decoding and their metrics."""
