"""Residue graphs: contacts, sequence neighbours and features that are no embedding."""
