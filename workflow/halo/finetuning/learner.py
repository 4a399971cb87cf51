"""The language model with its head: logits of proteins of any length."""

from collections.abc import Sequence

import numpy as np
import torch
from esm import Alphabet
from esm.model.esm2 import ESM2
from torch import Tensor, nn

from halo.device import moved
from halo.embeddings.encoder import encode
from halo.embeddings.layout import EmbeddingSettings
from halo.embeddings.tokens import Tokenizer
from halo.embeddings.windows import blend, windows
from halo.finetuning.adapters import adapt
from halo.finetuning.data import token_batches
from halo.finetuning.head import AttentionHead
from halo.finetuning.processes import Processes
from halo.finetuning.settings import FinetuneSettings
from halo.training.precision import half_precision


class Learner(nn.Module):
    """All that is fine-tuned, and what it stands on.

    Its thresholds `tau`, in logits, float32 :math:`(L)`, are learned from held-out proteins.

    Args:
        model, alphabet: the language model, which is changed.
        n_labels: :math:`L`.
        embedding: the layer that the head reads, and the windows of long proteins.
        settings: what is trained, and the shape of the head.
        seed: of the weights that are new.
    """

    def __init__(
        self,
        model: ESM2,
        alphabet: Alphabet,
        n_labels: int,
        embedding: EmbeddingSettings,
        settings: FinetuneSettings,
        seed: int,
    ) -> None:
        super().__init__()
        torch.manual_seed(seed)
        # The head first: its first weights are then the same, whatever is adapted.
        self.head = AttentionHead(model.embed_dim, n_labels, settings)
        self.model = model
        adapt(model, settings, embedding.layer)
        self.register_buffer("tau", torch.zeros(n_labels))
        self.embedding = embedding
        self.settings = settings
        self.tokenizer = Tokenizer(alphabet)

    def trained(self) -> dict[str, nn.Parameter]:
        """The parameters that are trained, by name."""
        return {name: value for name, value in self.named_parameters() if value.requires_grad}

    def forward(self, sequences: Sequence[str]) -> Tensor:
        """Logits, float32 [n, n_labels], of proteins that fit into the model."""
        states, residues = self._states(sequences)
        return self.head(states, residues)

    @torch.no_grad()
    def standardize(self, sequences: Sequence[str]) -> None:
        """Fit the head's units to proteins as the language model sees them before the training."""
        self.eval()
        window = self.embedding.window
        pooled = [self.head.pooled(*self._states([text[:window]])) for text in sequences]
        if len(pooled) > 1:
            self.head.standardize(torch.cat(pooled))

    @torch.inference_mode()
    def score(self, sequences: Sequence[str], processes: Processes) -> Tensor:
        """Logits of whole proteins on the CPU, float32 [n, n_labels], in the order given.

        A protein that is longer than the model's window is seen through several, and the head
        pools over all its residues.
        """
        self.eval()
        lengths = np.array([len(text) for text in sequences])
        logits = torch.zeros(len(sequences), len(self.tau), device=self._device)
        long = lengths > self.embedding.window
        budget = self.settings.tokens_per_batch
        for rows in processes.share(token_batches(lengths, np.flatnonzero(~long), budget)):
            logits[moved(torch.from_numpy(rows), self._device)] = self(
                [sequences[row] for row in rows]
            )
        for row in processes.share(np.flatnonzero(long)):
            states = self._blended(sequences[row])
            every = torch.ones(states.shape[:2], dtype=torch.bool, device=self._device)
            logits[row] = self.head(states, every)[0]
        processes.add_up([logits])
        return logits.cpu()

    @property
    def _device(self) -> torch.device:
        return self.tau.device

    def _states(self, sequences: Sequence[str]) -> tuple[Tensor, Tensor]:
        tokens, residues = (moved(part, self._device) for part in self.tokenizer.padded(sequences))
        checkpointing = self.settings.checkpointing and torch.is_grad_enabled()
        with half_precision(self._device, self.settings.precision):
            states = encode(self.model, tokens, self.embedding.layer, checkpointing)
        return states, residues

    def _blended(self, sequence: str) -> Tensor:
        """States of a long protein, float32 [1, length, dim]."""
        found = windows(len(sequence), self.embedding.window, self.embedding.overlap)
        start, stop = found[0]
        lengths = np.full(len(found), stop - start)
        parts = []
        for rows in token_batches(lengths, np.arange(len(found)), self.settings.tokens_per_batch):
            states, _ = self._states([sequence[slice(*found[row])] for row in rows])
            states = states[:, 1:-1].float().cpu().numpy()
            parts += [(*found[row], part) for row, part in zip(rows, states, strict=True)]
        return torch.from_numpy(blend(len(sequence), parts)).to(self._device)[None]
