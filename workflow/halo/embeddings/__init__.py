"""Embeddings of a protein language model, one vector a residue."""
