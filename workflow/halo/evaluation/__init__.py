"""The evaluation: metrics with intervals, comparisons, and one row per protein."""
