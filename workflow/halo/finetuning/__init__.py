"""Fine-tuning of the language model, once a fold, on that fold's training proteins alone."""
