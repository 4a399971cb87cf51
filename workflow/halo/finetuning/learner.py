"""Language model and classification head: logits of proteins of any length."""

from collections.abc import Sequence

import numpy as np
import torch
from esm import Alphabet
from esm.model.esm2 import ESM2
from torch import Tensor, nn

from halo.device import moved
from halo.embeddings.adapters import adapt
from halo.embeddings.encoder import encode
from halo.embeddings.layout import EmbeddingSettings
from halo.embeddings.limits import as_stored
from halo.embeddings.precision import matrix_dtype
from halo.embeddings.tokens import Tokenizer
from halo.embeddings.windows import blend, windows
from halo.errors import HaloError
from halo.finetuning.data import token_batches
from halo.finetuning.head import AttentionHead
from halo.finetuning.processes import Processes
from halo.finetuning.settings import FinetuneSettings
from halo.training.precision import mixed_precision


class Learner(nn.Module):
    """The language model with its adapters and its head.

    The thresholds `tau`, in logits, float32 :math:`(L)`, are learned from held-out proteins.

    Args:
        model: the language model, which is modified in place.
        alphabet: its tokens.
        n_labels: :math:`L`.
        embedding: settings of the embeddings: layer, windows, and precision in scoring.
        settings: settings of adapters and head.
        seed: seed of new weights.
    """

    tau: Tensor

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
        # The head first, so that its initial weights do not depend on the adapters.
        self.head = AttentionHead(model.embed_dim, n_labels, settings)
        self.model = model
        adapt(model, settings.adapter(embedding.layer))
        self.register_buffer("tau", torch.zeros(n_labels))
        self.embedding = embedding
        self.settings = settings
        self.tokenizer = Tokenizer(alphabet)

    def trained(self) -> dict[str, nn.Parameter]:
        """The trainable parameters by name."""
        return {name: value for name, value in self.named_parameters() if value.requires_grad}

    def forward(self, sequences: Sequence[str]) -> Tensor:
        """Logits, float32 [n, n_labels], of proteins that fit into the model."""
        return self.head(*self._states(sequences, self._as_trained()))

    @torch.no_grad()
    def standardize(self, sequences: Sequence[str]) -> None:
        """Fit the head's standardization, with the language model before training."""
        self.eval()
        window = self.embedding.window
        pooled = [
            self.head.pooled(*self._states([text[:window]], self._as_trained()))
            for text in sequences
        ]
        if len(pooled) > 1:
            self.head.standardize(torch.cat(pooled))

    @torch.inference_mode()
    def score(self, sequences: Sequence[str], processes: Processes) -> Tensor:
        """Logits of whole proteins on the CPU, float32 [n, n_labels], in the order given.

        Proteins that are longer than the window are computed in several windows, and the head
        pools over all residues. The logits equal those of `halo.finetuning.predict` at any
        precision of the training: states are computed in the precision of the embeddings on this
        device and rounded like stored embeddings. Thresholds learned from these logits
        are therefore valid for predictions.

        Raises
        ------
        HaloError
            if states are NaN or infinite
        """
        self.eval()
        precision = self._as_embedded()
        lengths = np.array([len(text) for text in sequences])
        logits = torch.zeros(len(sequences), len(self.tau), device=self._device)
        long = lengths > self.embedding.window
        budget = self.settings.tokens_per_batch
        for rows in processes.share(token_batches(lengths, np.flatnonzero(~long), budget)):
            states, residues = self._states([sequences[row] for row in rows], precision)
            stored = as_stored(states.masked_fill(~residues[:, :, None], 0))
            logits[moved(torch.from_numpy(rows), self._device)] = self.head(stored, residues)
        for row in processes.share(np.flatnonzero(long).tolist()):
            stored = as_stored(self._blended(sequences[row], precision))
            every = torch.ones(stored.shape[:2], dtype=torch.bool, device=self._device)
            logits[row] = self.head(stored, every)[0]
        processes.add_up([logits])
        if not logits.isfinite().all():
            raise HaloError(
                "validation: the language model's states are NaN or infinite; lower "
                "finetune.learning_rate, or set embeddings.precision to float32"
            )
        return logits.cpu()

    @property
    def _device(self) -> torch.device:
        return self.tau.device

    def _as_trained(self) -> torch.autocast:
        return mixed_precision(self._device, self.settings.precision)

    def _as_embedded(self) -> torch.autocast:
        device = self._device.type
        dtype = matrix_dtype(self.embedding.precision, device)
        return torch.autocast(device, dtype, enabled=dtype != torch.float32)

    def _states(self, sequences: Sequence[str], precision: torch.autocast) -> tuple[Tensor, Tensor]:
        tokens, residues = (moved(part, self._device) for part in self.tokenizer.padded(sequences))
        checkpointing = self.settings.checkpointing and torch.is_grad_enabled()
        with precision:
            states = encode(self.model, tokens, self.embedding.layer, checkpointing)
        return states, residues

    def _blended(self, sequence: str, precision: torch.autocast) -> Tensor:
        """States of a long protein, float32 [1, length, dim].

        Windows are copied from a GPU in float16 if it can represent them, like those of embeddings.
        """
        spans = windows(len(sequence), self.embedding.window, self.embedding.overlap)
        start, stop = spans[0]
        lengths = np.full(len(spans), stop - start)
        parts = []
        for rows in token_batches(lengths, np.arange(len(spans)), self.settings.tokens_per_batch):
            states, _ = self._states([sequence[slice(*spans[row])] for row in rows], precision)
            states = states[:, 1:-1]
            if states.is_cuda and (half := states.half()).isfinite().all():
                states = half
            arrays = states.float().cpu().numpy()
            parts += [(*spans[row], part) for row, part in zip(rows, arrays, strict=True)]
        return torch.from_numpy(blend(len(sequence), parts)).to(self._device)[None]
