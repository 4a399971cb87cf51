"""From new proteins and a model bundle to predictions."""
