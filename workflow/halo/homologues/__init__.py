"""Decisions with the known labels of a similar training protein, the homologue."""
