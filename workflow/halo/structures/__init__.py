"""Predicted structures: found, checked against the sequence, and stored small."""
