"""Calibration, conformal sets, and methods that combine two others (cascade, average)."""
