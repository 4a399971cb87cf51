"""Predict new proteins with a model bundle."""
