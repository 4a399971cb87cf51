"""The plan of a run: its models, and the language models and members that they depend on.

The plan depends on the complete configuration only. It reads no files and creates no paths, except
for the names of models; rules turn it into paths.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from halo.config.methods import Methods, methods_of
from halo.config.rules import folds
from halo.errors import HaloError
from halo.fold_parts import ALL
from halo.model_key import ModelKey
from halo.store import BUCKETS


@dataclass(frozen=True)
class Plan:
    """The models of a run.

    Attributes
    ----------
    split
        Name of the split.
    folds, seeds, shards
        Names of the trained folds, seeds of the trainings, names of the shards.
    methods
        Names of the methods, by type.
    joins
        The two members of each combined method, by its name.
    finetuned
        Whether a language model is fine-tuned for each fold.
    pretrained
        Networks and searches among embeddings that read those of the pretrained language model.
    main
        The method with which the others are compared.
    released, released_folds, released_seeds
        The method of the bundle (None if no method can be released), and its models. With
        ``release.all_proteins`` the only fold is `halo.fold_parts.ALL`, which is not evaluated.
    """

    split: str
    folds: tuple[str, ...]
    seeds: tuple[int, ...]
    shards: tuple[str, ...]
    methods: Methods
    joins: Mapping[str, tuple[str, ...]]
    finetuned: bool
    pretrained: frozenset[str]
    main: str
    released: str | None
    released_folds: tuple[str, ...]
    released_seeds: tuple[int, ...]

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> "Plan":
        """The plan of a complete configuration."""
        finetuned = config["finetune"]["model"] == "finetuned"
        made = methods_of(config["methods"], finetuned)
        trained, release = tuple(folds(config)), config["release"]
        pretrained = {
            name
            for name in made.networks + made.neighbours
            if not finetuned or config["methods"][name].get("embeddings") == "pretrained"
        }
        return cls(
            split=config["split"]["name"] or config["split"]["mode"],
            folds=trained,
            seeds=tuple(config["seeds"]),
            shards=tuple(f"{number:03d}" for number in range(config["shards"])),
            methods=made,
            joins={name: tuple(config["methods"][name]["of"]) for name in made.joined},
            finetuned=finetuned,
            pretrained=frozenset(pretrained),
            main=config["evaluation"]["main"] or made.all[0],
            released=release["method"] or next(iter(made.portable), None),
            released_folds=(ALL,)
            if release["all_proteins"]
            else tuple(release["folds"] or trained),
            released_seeds=tuple(release["seeds"] or config["seeds"]),
        )

    def seeds_of(self, method: str) -> tuple[int, ...]:
        """Seeds of a method; methods that are neither networks nor combine networks have one."""
        several = self.methods.networks + self.methods.joined
        return self.seeds if method in several else self.seeds[:1]

    def models(self, methods: Iterable[str]) -> list[ModelKey]:
        """The evaluated models of these methods, by method, fold and seed."""
        return [
            ModelKey(self.split, fold, seed, method)
            for method in methods
            for fold in self.folds
            for seed in self.seeds_of(method)
        ]

    @property
    def all_models(self) -> list[ModelKey]:
        """The evaluated models, and those of the bundle that are not among them."""
        evaluated = self.models(self.compared)
        if self.released not in self.methods.portable:
            return evaluated
        released = self._released_with_seeds(self.released)
        joined = [key for key in released if key.method in self.joins]
        members = [member for key in joined for member in self.members(key)]
        return list(dict.fromkeys((*evaluated, *members, *released)))

    @property
    def compared(self) -> list[str]:
        """All methods, the main one first."""
        return [self.main] + [name for name in self.methods.all if name != self.main]

    def members(self, key: ModelKey) -> list[ModelKey]:
        """Members of a combined model; networks have its seed, other methods their only one."""
        return [
            ModelKey(key.split, key.fold, seed, name)
            for name in self.joins[key.method]
            for seed in [key.seed if name in self.methods.networks else self.seeds[0]]
        ]

    def reads_finetuned(self, method: str) -> bool:
        """Whether a method on embeddings reads those of the fine-tuned language model."""
        return self.finetuned and method not in self.pretrained

    @property
    def language_models(self) -> list[str | None]:
        """Language models whose embeddings are needed: folds, or None for the pretrained one."""
        readers = self.methods.on_embeddings
        own = any(self.reads_finetuned(method) for method in readers)
        published = any(not self.reads_finetuned(method) for method in readers)
        return [None] * published + sorted(self.folds) * own

    @property
    def released_language_models(self) -> list[str | None]:
        """`language_models`, and those of the bundle."""
        known = self.language_models
        own = self.released_folds if self.released_finetuned else ()
        return known + [fold for fold in own if fold not in known]

    @property
    def all_folds(self) -> list[str]:
        """The evaluated folds, and `halo.fold_parts.ALL` if the bundle has models of it."""
        return list(dict.fromkeys((*self.folds, *self.released_folds)))

    def buckets(self, shard: str) -> list[str]:
        """The buckets of a shard."""
        count, number = len(self.shards), int(shard)
        return [b for i, b in enumerate(BUCKETS) if i * count // len(BUCKETS) == number]

    @property
    def released_members(self) -> tuple[str, ...]:
        """The trained methods in the bundle: the members of the released one, or itself."""
        if self.released is None:
            return ()
        return self.joins.get(self.released, (self.released,))

    @property
    def released_models(self) -> list[ModelKey]:
        """The models of the bundle; raises a HaloError if this method cannot be released."""
        able = self.methods.portable
        if self.released not in able:
            raise HaloError(
                f"release.method: {self.released!r} is no trained method of this run; give one of "
                f"{', '.join(able)}"
            )
        own = {self.reads_finetuned(name) for name in self.released_members}
        if len(own) > 1:
            raise HaloError(
                f"release.method: {self.released!r} combines methods on fine-tuned and on "
                "pretrained embeddings, but a bundle has one language model per fold; choose "
                "another method"
            )
        return self._released_with_seeds(self.released)

    @property
    def released_networks(self) -> list[ModelKey]:
        """The networks of the bundle."""
        networks = [name for name in self.released_members if name in self.methods.networks]
        return [key for name in networks for key in self._released(name, self.released_seeds)]

    @property
    def released_finetuned(self) -> bool:
        """Whether the bundle has the fine-tuned language models of the folds."""
        return any(self.reads_finetuned(name) for name in self.released_members)

    def _released_with_seeds(self, method: str) -> list[ModelKey]:
        several = method not in self.methods.esm
        return self._released(method, self.released_seeds if several else self.seeds[:1])

    def _released(self, method: str, seeds: Iterable[int]) -> list[ModelKey]:
        return [
            ModelKey(self.split, fold, seed, method)
            for fold in self.released_folds
            for seed in seeds
        ]

    @property
    def counts(self) -> dict[str, int]:
        """Largest number of jobs of each type, for `halo.proteins.plan.log_plan`."""
        folds, beside = len(self.all_folds), self.pretrained
        return {
            "shards": len(self.shards),
            "folds": folds,
            "seeds": len(self.seeds),
            "networks": len(self.methods.networks),
            "baselines": len(self.methods.esm + self.methods.neighbours + self.methods.baselines),
            "finetunings": folds * self.finetuned,
            "embedded": folds + bool(beside) if self.finetuned else 1,
        }
