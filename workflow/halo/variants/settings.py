"""Settings of the prediction of variants."""

from dataclasses import dataclass, field, replace

from halo.errors import HaloError
from halo.predict.settings import PredictSettings
from halo.variants.scan import SCANS, WINDOW

RANDOM = 99  # random substitutions for each number of places; the smallest p-value is 0.01


@dataclass(frozen=True)
class VariantSettings:
    """The options of ``halo variants``.

    Attributes
    ----------
    scan
        One of `SCANS`, or None.
    window
        Residues of the windows that a scan deletes.
    random
        Number of random substitutions to which a variant is compared; 0 for no p-values.
    structure
        Whether structures are used.
    predict
        Settings of the predictions; `page` is the number of wild types with regions.
    """

    scan: str | None = None
    window: int = WINDOW
    random: int = RANDOM
    structure: bool = True
    predict: PredictSettings = field(default_factory=PredictSettings)

    def __post_init__(self) -> None:
        if self.scan is not None and self.scan not in SCANS:
            raise HaloError(f"--scan: {self.scan!r} is not one of {', '.join(SCANS)}")
        for name, lowest in (("window", 1), ("random", 0)):
            if getattr(self, name) < lowest:
                raise HaloError(f"{name}: {getattr(self, name)} is below {lowest}; give more")
        if self.predict.embeddings is not None:
            raise HaloError(
                "--embeddings: a file has no embeddings of variants; leave it out, and use a "
                "bundle whose language model HALO computes"
            )
        if not self.structure:
            own = replace(self.predict, structures=None, download=False)
            object.__setattr__(self, "predict", own)
