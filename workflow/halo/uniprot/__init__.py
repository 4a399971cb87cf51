"""Data sets from UniProt, labelled by subcellular locations and their evidence."""
