"""Settings of the split stage: the section ``split`` of the configuration."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from halo.errors import HaloError
from halo.settings import MOST_SEED, NAME, Faults, setting

# Names of folders in the results, which no split may have.
TAKEN = (
    *("audit", "benchmarks", "bundle", "embeddings", "evaluation", "finetune", "graphs"),
    *("language_model", "logs", "members", "predict", "split", "structures"),
)


@dataclass(frozen=True)
class Rule:
    """Thresholds of similarity: two proteins are similar if all conditions hold.

    Attributes
    ----------
    identity
        Smallest identity, 0 to 1.
    identity_of
        What the identical residues are divided by: the columns of the alignment
        (``aligned``) or the length of the shorter sequence (``shorter``).
    coverage
        Smallest coverage, 0 to 1; 0 for no limit.
    coverage_of
        Sequence that must be covered: the ``shorter`` one or ``both``.
    evalue
        Largest E-value.
    """

    identity: float = setting(0.3, "smallest identity of similar proteins", ge=0, le=1)
    identity_of: Literal["aligned", "shorter"] = setting(
        "aligned", "whether identity is relative to the aligned columns or to the shorter sequence"
    )
    coverage: float = setting(
        0.8, "smallest coverage of similar proteins; 0 for no limit", ge=0, le=1
    )
    coverage_of: Literal["shorter", "both"] = setting(
        "shorter", "whether the shorter sequence or both must be covered"
    )
    evalue: float = setting(1e-3, "largest E-value of similar proteins", gt=0)

    def __post_init__(self) -> None:
        for name, highest in (("identity", 1), ("coverage", 1), ("evalue", math.inf)):
            value = getattr(self, name)
            if not (math.isfinite(value) and 0 <= value <= highest):
                raise HaloError(f"split.{name}: {value} is not in its range; correct it")


@dataclass(frozen=True)
class Fractions:
    """Shares of the parts; they sum to one."""

    train: float = setting(0.7, "share for training", ge=0, le=1)
    val: float = setting(0.1, "share for validation (early stopping, model choice)", ge=0, le=1)
    cal: float = setting(0.05, "share for calibration and thresholds", ge=0, le=1)
    test: float = setting(0.15, "share for the test", ge=0, le=1)


@dataclass(frozen=True)
class AuditSettings:
    """Sensitivity of the audit, and how often the split is repeated with its findings."""

    sensitivity: float = setting(7.5, "sensitivity (-s) of the audit's search", ge=1, le=7.5)
    exact: int = setting(
        3000,
        "number of proteins, drawn at random, that are aligned with all others; a data set with "
        "no more proteins has all its pairs aligned",
        ge=1,
    )
    rounds: int = setting(
        10, "how often the split is repeated with the leaks that the audit found", ge=0
    )


@dataclass(frozen=True)
class SplitMode:
    """The first keys of the section: how the proteins are divided."""

    name: str | None = setting(
        None,
        "name of the split, a folder of the results; null for its mode",
        pattern=NAME,
    )
    mode: Literal["kfold", "fractions", "external", "predefined"] = setting(
        "kfold",
        "k folds, a single split by fractions, an external test set, or author partitions",
    )
    folds: int = setting(
        5,
        "number of folds (kfold, at least 2), or of author partitions (predefined; 1 for train "
        "and test)",
        ge=1,
        le=1000,
    )
    fractions: Fractions = setting(Fractions, "shares of the parts (mode fractions); they sum to 1")
    test: tuple[str, ...] = setting(
        ("test",),
        "author partitions that are the test set (mode external, and predefined with val)",
        min_length=1,
        unique=True,
    )
    val: tuple[str, ...] | None = setting(
        None,
        "author partitions for validation, which `test` is not part of and the others are training "
        "(modes external and predefined, which then has one fold); null for a share of the rest",
        min_length=1,
        unique=True,
    )


@dataclass(frozen=True)
class SplitSettings(Rule, SplitMode):
    """The section ``split`` of the configuration."""

    sensitivity: float = setting(5.7, "sensitivity (-s) of the MMseqs2 search", ge=1, le=7.5)
    max_hits: int = setting(
        2000,
        "hits per query; a query with more is searched again with ten times as many",
        ge=1,
    )
    val_fraction: float = setting(
        0.1,
        "share of the proteins outside of the test for validation (early stopping, model choice)",
        gt=0,
        le=0.5,
    )
    cal_fraction: float = setting(
        0.05,
        "share of the proteins outside of the test for calibration and thresholds",
        ge=0,
        le=0.5,
    )
    seed: int = setting(1, "chooses among splits that are equally good", ge=0, le=MOST_SEED)
    base: str | None = setting(
        None, "assignments.csv of an earlier run, whose proteins keep their parts, or null"
    )
    repair: bool = setting(
        False, "remove proteins similar to the test from the training (mode predefined)"
    )
    audit: AuditSettings = setting(
        AuditSettings, "the independent search for similar proteins in different parts"
    )

    @classmethod
    def from_config(cls, section: Mapping) -> "SplitSettings":
        """From the configuration's ``split`` section."""
        nested = {"fractions": Fractions, "audit": AuditSettings}
        return cls(
            **{
                key: nested[key](**value) if key in nested else value
                for key, value in section.items()
            }
        )

    def faults(self) -> Faults:
        """Faults of combinations of keys."""
        faults = []
        if self.name in TAKEN:
            faults.append(
                ("name", f"the results have a folder {self.name!r} for something else; rename it")
            )
        shares = self.fractions
        total = shares.train + shares.val + shares.cal + shares.test
        if abs(total - 1) > 1e-6:
            faults.append(("fractions", f"train, val, cal and test sum to {total:g}; make it 1"))
        if self.mode == "fractions":
            faults += [
                (f"fractions.{part}", "0 leaves no protein for it; raise it")
                for part in ("train", "val", "test")
                if getattr(shares, part) == 0
            ]
        elif self.val_fraction + self.cal_fraction >= 1:
            faults.append(
                ("val_fraction", "with cal_fraction it leaves nothing to train on; lower one")
            )
        if self.mode == "kfold" and self.folds < 2:
            faults.append(
                ("folds", "1 fold has nothing to train on; give 2 or more, or mode: fractions")
            )
        if self.base is not None and self.mode not in ("kfold", "fractions"):
            faults.append(
                (
                    "base",
                    f"the mode {self.mode} uses author partitions and takes no base; set it to "
                    "null",
                )
            )
        if self.mode == "predefined" and self.val is None and self.test != SplitMode().test:
            faults.append(
                (
                    "test",
                    "the mode predefined tests each partition, or the one called test, and uses "
                    "these names only with split.val; name the partitions for validation there, or "
                    "set mode: external",
                )
            )
        if self.val is not None and self.mode in ("external", "predefined"):
            faults += [
                (f"val[{number}]", f"{name!r} is in test, too; remove it from one of them")
                for number, name in enumerate(self.val)
                if name in self.test
            ]
            if self.mode == "predefined" and self.folds != 1:
                faults.append(("folds", "with val there is one division; set it to 1"))
        if self.repair and self.mode != "predefined":
            faults.append(
                (
                    "repair",
                    f"the mode {self.mode} keeps similar proteins apart already; leave it out, or "
                    "set mode: predefined",
                )
            )
        return faults

    @property
    def rule(self) -> Rule:
        """When two proteins are similar."""
        return Rule(self.identity, self.identity_of, self.coverage, self.coverage_of, self.evalue)
