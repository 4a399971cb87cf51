"""Assign proteins to training, validation, calibration and test without homology leaks."""
