"""Ingest: read proteins and labels from the user's files into one checked table."""
