"""Proteins and their labels: from the files a user has to one checked table."""
