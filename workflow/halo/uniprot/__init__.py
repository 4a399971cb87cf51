"""Proteins of UniProt, labelled by their subcellular locations and the evidence for these."""
