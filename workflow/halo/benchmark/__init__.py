"""Benchmark: compare the methods of several runs."""
