"""The classes of language models: the one place where one is registered.

A class is chosen by ``config.json`` of a folder in Hugging Face's format. As in `halo.methods`,
what loads it is named and not imported, so that the names load no PyTorch; a rule adds its module
to the digest of its code.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from halo.errors import HaloError


@dataclass(frozen=True)
class ModelClass:
    """A class of language models.

    Attributes
    ----------
    title
        The models, for messages.
    encoder
        Module and name of a function ``(weights, layer, device, dtype)`` that returns a
        `halo.embeddings.embed.Encoder`.
    model_type, vocab_size
        The values in ``config.json`` by which the class is chosen; a size of None is any.
    version
        Version of the numbers: to be raised with every change of them beyond rounding.
    vocabulary
        Names of files with the vocabulary, of which the folder must have one; () if the package has
        it.
    inputs
        Module and name of a function ``(sequence, structure)`` that returns the text that the model
        reads, with an equal number of characters for each residue; None: the sequence.
    packages
        Packages that it needs beside HALO's own, by the names of their modules.
    """

    title: str
    encoder: str
    model_type: str
    vocab_size: int | None = None
    version: int = 1
    vocabulary: tuple[str, ...] = ()
    inputs: str | None = None
    packages: tuple[str, ...] = ()

    @property
    def reads_structures(self) -> bool:
        """Whether it reads structures beside sequences."""
        return self.inputs is not None

    @property
    def modules(self) -> list[str]:
        """The modules that are loaded by their names."""
        places = [self.encoder, *([self.inputs] if self.inputs else [])]
        return sorted({place.partition(":")[0] for place in places})


EXTRA = "language-models"  # of pyproject.toml
ESM2 = "esm2"  # also ESM-1b and ESM-1v: the class with an implementation of HALO's own
TRANSFORMERS = ("transformers",)
# The first that fits is chosen.
LANGUAGE_MODELS = {
    "saprot": ModelClass(
        "SaProt",
        "halo.embeddings.saprot:SaProt",
        "esm",
        vocab_size=446,  # pairs of a residue and a letter of its structure; ESM-2 has 33
        vocabulary=("vocab.txt",),
        inputs="halo.structures.letters:structure_aware",
        packages=(*TRANSFORMERS, "mini3di"),
    ),
    ESM2: ModelClass("ESM-2, ESM-1b, ESM-1v", "halo.embeddings.language_model:encoder", "esm"),
    "t5": ModelClass(
        "ProtT5, ProstT5, Ankh",
        "halo.embeddings.t5:ProteinT5",
        "t5",
        vocabulary=("tokenizer.json", "spiece.model"),
        packages=(*TRANSFORMERS, "sentencepiece"),
    ),
    "esmc": ModelClass("ESM C", "halo.embeddings.esmc:EsmC", "esmc", packages=TRANSFORMERS),
}


def class_of(config: Mapping[str, Any]) -> str | None:
    """The class of a model by the content of its ``config.json``; None if HALO reads none such."""
    for name, known in LANGUAGE_MODELS.items():
        if config.get("model_type") == known.model_type and known.vocab_size in (
            None,
            config.get("vocab_size"),
        ):
            return name
    return None


def load_encoder(model_class: str) -> Callable[..., Any]:
    """What `ModelClass.encoder` names; HaloError if packages are not installed."""
    return _load(model_class, LANGUAGE_MODELS[model_class].encoder)


def load_inputs(model_class: str) -> Callable[..., str] | None:
    """What `ModelClass.inputs` names, or None; HaloError if packages are not installed."""
    place = LANGUAGE_MODELS[model_class].inputs
    return _load(model_class, place) if place is not None else None


def _load(model_class: str, place: str) -> Callable[..., Any]:
    known = LANGUAGE_MODELS[model_class]
    missing = [name for name in known.packages if find_spec(name) is None]
    if missing:
        raise HaloError(
            f"{known.title}: needs packages that are not installed ({', '.join(missing)}); install "
            f"them: pip install 'halo-localization[{EXTRA}]'"
        )
    module, _, name = place.partition(":")
    return getattr(import_module(module), name)
