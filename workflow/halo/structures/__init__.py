"""Find predicted structures, compare them with the sequence, and store their backbones."""
