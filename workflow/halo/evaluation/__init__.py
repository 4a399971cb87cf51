"""The evaluation: metrics with intervals, comparisons, and a row a protein."""
