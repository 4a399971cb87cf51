"""Train a network on one fold with one seed."""
