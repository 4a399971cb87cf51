"""Fine-tune the language model for each fold, on that fold's training proteins only."""
