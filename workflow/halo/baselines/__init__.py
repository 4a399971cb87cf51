"""Sanity baselines: what a prediction is worth that looks at no protein, or at its best relative."""
