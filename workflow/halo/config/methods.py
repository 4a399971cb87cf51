"""The methods of a run: their form in the configuration, and the selection."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Annotated, Any, Literal, Required, get_type_hints

from pydantic import Field
from typing_extensions import TypedDict

from halo.baselines.settings import NeighbourSettings
from halo.methods import BASELINES, CLASSES, NEIGHBOURS, NETWORKS
from halo.network.settings import NetworkSettings
from halo.settings import NAME
from halo.training.settings import TrainingSettings

CHANGES = "Changes"  # ends the names of types that have some keys of a section


def changes_of(settings: type) -> Any:
    """The type of a mapping with some keys of a section, in place of the section's own."""
    return keys_of(settings, CHANGES)


def keys_of(settings: type, suffix: str = "") -> Any:
    """The type of a mapping with some keys of `settings`."""
    hints = get_type_hints(settings, include_extras=True)
    keys = {f.name: Annotated[hints[f.name], Field(**f.metadata)] for f in fields(settings)}
    name = f"{settings.__name__}{suffix}"
    return TypedDict(name, keys, total=False)  # type: ignore[operator]  # made at run time


# Its keys are known at run time only: to mypy, it is a mapping.
Method: Any = TypedDict(
    "Method",
    {
        "class": Required[
            Annotated[
                Literal[CLASSES],  # type: ignore[valid-type]  # a constant
                Field(
                    description="network (HALO's), esm (the fine-tuned language model only; "
                    "omitted without fine-tuning), cascade or average of two others, or a "
                    "baseline, trained (reference, light_attention, mean_embedding) or not "
                    "(nearest_neighbour, majority, homology)"
                ),
            ]
        ],
        "of": Annotated[
            tuple[str, ...],
            Field(
                description="the two members of a cascade or an average, neither of which may "
                "have members; a cascade uses the second where the first is uncertain",
                min_length=2,
                max_length=2,
                json_schema_extra={"uniqueItems": True},
            ),
        ],
        "network": Annotated[  # type: ignore[misc]  # a type that is made at run time
            changes_of(NetworkSettings),
            Field(description="keys of network that differ for this method"),
        ],
        "training": Annotated[
            changes_of(TrainingSettings),
            Field(description="keys of training that differ for this method"),
        ],
        "neighbours": Annotated[
            keys_of(NeighbourSettings),
            Field(description="of the class nearest_neighbour"),
        ],
        "embeddings": Annotated[
            Literal["finetuned", "pretrained"],
            Field(
                description="embeddings of a network or of nearest_neighbour if the language model "
                "is fine-tuned: those of the fine-tuned or of the pretrained language model"
            ),
        ],
    },
    total=False,
)

MethodName = Annotated[str, Field(pattern=NAME)]

DEFAULT: dict[str, Any] = {
    "halo": {"class": "network"},
    "esm": {"class": "esm"},
    "cascade": {"class": "cascade", "of": ("esm", "halo")},
    "average": {"class": "average", "of": ("esm", "halo")},
    "majority": {"class": "majority"},
    "homology": {"class": "homology"},
}


@dataclass(frozen=True)
class Methods:
    """Names of the methods that a run makes, by what they are.

    Attributes
    ----------
    networks
        Trained on graphs and embeddings.
    esm
        The fine-tuned language model alone.
    neighbours
        Those that search among the embeddings of the training proteins.
    baselines
        Those that need neither training nor embeddings.
    joined
        Those that join two of the above.
    portable
        Those that a bundle can hold: those that join two trained ones, networks, and `esm`.
    """

    networks: list[str]
    esm: list[str]
    neighbours: list[str]
    baselines: list[str]
    joined: list[str]
    portable: list[str]

    @property
    def trained(self) -> list[str]:
        """Those that are trained and stand for themselves."""
        return self.networks + self.esm

    @property
    def on_embeddings(self) -> list[str]:
        """Those that read embeddings."""
        return self.trained + self.neighbours

    @property
    def all(self) -> list[str]:
        """Every method, the one first that the others are compared with by default."""
        return self.networks + self.joined + self.esm + self.neighbours + self.baselines


def methods_of(methods: Mapping[str, Mapping[str, Any]], finetuned: bool) -> Methods:
    """The methods of a run; what needs a fine-tuned language model is left out without one."""
    classes = {name: method["class"] for name, method in methods.items()}
    networks = [name for name, method_class in classes.items() if method_class in NETWORKS]
    esm = [name for name, method_class in classes.items() if method_class == "esm" and finetuned]
    neighbours = [name for name, method_class in classes.items() if method_class in NEIGHBOURS]
    baselines = [name for name, method_class in classes.items() if method_class in BASELINES]
    made = {*networks, *esm, *neighbours, *baselines}
    of = {name: {*method["of"]} for name, method in methods.items() if method.get("of")}
    joined = [name for name, members in of.items() if members <= made]
    portable = [name for name in joined if of[name] <= {*networks, *esm}] + networks + esm
    return Methods(networks, esm, neighbours, baselines, joined, portable)
