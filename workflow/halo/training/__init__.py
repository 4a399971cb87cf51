"""Training of the network on one fold, with one seed."""
