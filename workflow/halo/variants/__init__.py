"""Predict what changes of the sequence do to the localization of a protein."""
