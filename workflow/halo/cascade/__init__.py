"""Calibrated probabilities, sets with a stated coverage, and two models joined to one."""
