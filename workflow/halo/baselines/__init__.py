"""Sanity baselines: predictions that look at no protein, or at its best relative alone."""
