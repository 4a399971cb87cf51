"""Residue graphs: contacts, sequence neighbours, and features other than embeddings."""
