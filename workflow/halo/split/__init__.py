"""Partitions of the proteins between which no two are similar, and the proof of it."""
