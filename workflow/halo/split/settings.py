"""Settings of the stage; see ``split`` in the configuration."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from halo.errors import HaloError


@dataclass(frozen=True)
class Rule:
    """When two proteins are similar: all of the four must hold.

    Attributes
    ----------
    identity
        Smallest identity, 0 to 1.
    identity_of
        What the identical residues are divided by: the columns of the alignment
        (``aligned``) or the length of the shorter sequence (``shorter``).
    coverage
        Smallest coverage, 0 to 1; 0 asks for none.
    coverage_of
        Sequence that must be covered: the ``shorter`` one or ``both``.
    evalue
        Largest E-value.
    """

    identity: float = 0.3
    identity_of: str = "aligned"
    coverage: float = 0.8
    coverage_of: str = "shorter"
    evalue: float = 1e-3


@dataclass(frozen=True)
class Fractions:
    """Shares of the proteins; they must sum to one."""

    train: float = 0.7
    val: float = 0.1
    cal: float = 0.05
    test: float = 0.15

    def __post_init__(self) -> None:
        total = self.train + self.val + self.cal + self.test
        if abs(total - 1) > 1e-6:
            raise HaloError(f"split.fractions: they sum to {total:g}, not to 1; mend one of them")


@dataclass(frozen=True)
class AuditSettings:
    """How hard the audit looks, and how often its findings go back into the graph.

    Attributes
    ----------
    sensitivity
        MMseqs2's ``-s`` of the second search.
    margin
        Pairs within this distance below the identity or the coverage asked for are
        aligned exactly.
    rounds
        The split is made anew with what an audit found at most so many times.
    """

    sensitivity: float = 6.5
    margin: float = 0.05
    rounds: int = 10


@dataclass(frozen=True)
class SplitSettings:
    """The section ``split`` of the configuration, key by key.

    Attributes
    ----------
    name
        Folder of the results; None for the mode. The stage itself has no use for it.
    mode
        ``kfold``, ``fractions``, ``external`` or ``predefined``.
    folds
        Number of folds of ``kfold``, and of partitions that ``predefined`` must find.
    fractions
        Parts of the mode ``fractions``.
    test
        Values of the given split that are the test set of the mode ``external``.
    identity, identity_of, coverage, coverage_of, evalue
        See `Rule`.
    sensitivity
        MMseqs2's ``-s`` of the search that the graph is made of.
    max_hits
        Candidates of a query that are aligned; a query that has more is searched again
        with ten times as many.
    val_fraction, cal_fraction
        Shares of what is not test that become validation and calibration.
    seed
        Chooses among splits that are equally good.
    base
        Assignments of an earlier run, whose proteins do not move, or None.
    repair
        Mode ``predefined``: remove from the training what is similar to the test.
    audit
        See `AuditSettings`.
    """

    name: str | None = None
    mode: str = "kfold"
    folds: int = 5
    fractions: Fractions = field(default_factory=Fractions)
    test: Sequence[str] = ("test",)
    identity: float = 0.3
    identity_of: str = "aligned"
    coverage: float = 0.8
    coverage_of: str = "shorter"
    evalue: float = 1e-3
    sensitivity: float = 5.7
    max_hits: int = 2000
    val_fraction: float = 0.1
    cal_fraction: float = 0.05
    seed: int = 1
    base: str | None = None
    repair: bool = False
    audit: AuditSettings = field(default_factory=AuditSettings)

    def __post_init__(self) -> None:
        if self.val_fraction + self.cal_fraction >= 1:
            raise HaloError(
                "split.val_fraction and split.cal_fraction leave nothing to train on; lower them"
            )
        if self.base is not None and self.mode not in ("kfold", "fractions"):
            raise HaloError(
                f"split.base: the mode {self.mode} takes no base, since the partitions are given; "
                "set it to null"
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

    @property
    def rule(self) -> Rule:
        """When two proteins are similar."""
        return Rule(self.identity, self.identity_of, self.coverage, self.coverage_of, self.evalue)
