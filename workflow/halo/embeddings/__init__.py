"""Residue embeddings of a protein language model."""
