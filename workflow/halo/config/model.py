"""The configuration of a run as one typed model."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from halo.cascade.settings import CascadeSettings
from halo.config.methods import DEFAULT, Method, MethodName
from halo.config.sections import ReleaseSection, Seed
from halo.embeddings.settings import EmbeddingSection
from halo.evaluation.settings import EvaluationSection
from halo.finetuning.settings import FinetuneSection
from halo.graphs.settings import GraphSettings
from halo.network.settings import NetworkSettings
from halo.predict.options import PredictOptions
from halo.proteins.settings import DatasetSection
from halo.settings import NAME, RUN_NAME
from halo.split.settings import SplitSettings
from halo.structures.settings import StructureSection
from halo.training.settings import TrainingSettings

# No key that is not known, no value of another type, no NaN and no infinity, in every section.
STRICT = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False, frozen=True)


def _section(kind: type, description: str) -> Any:
    return Field(default_factory=kind, description=description)


class RunConfig(BaseModel):
    """Configuration of a HALO run."""

    model_config = STRICT

    run: str = Field(
        description="name of the run; everything is written below results/<run>/",
        pattern=RUN_NAME,
    )
    store: str = Field(
        "store",
        description="folder of the store, shared by runs and data sets; ~ is the home directory",
        min_length=1,
    )
    device: Literal["auto", "cuda", "cpu"] = Field(
        "auto",
        description="device of jobs with a language model or a network; auto is a GPU if one is "
        "available, and a GPU that the job requests (slurm/profile.yaml) must be available; cuda "
        "requires one; cpu uses none",
    )
    container: str | None = Field(
        None,
        description="container image of the jobs (--sdm apptainer): a file, a folder, or an "
        "address such as docker://registry/halo; null for none",
        min_length=1,
    )
    pathvars: dict[str, str] | None = Field(
        None,
        description="Snakemake's path variables (results, logs, benchmarks), to place outputs "
        "elsewhere",
    )
    fasta: str | None = Field(
        None,
        description="proteins to predict (snakemake predict), a FASTA, a table or a list of "
        "accessions",
    )
    variants: str | None = Field(
        None,
        description="variants of the proteins in `fasta` (snakemake variants), a list, a table, a "
        "VCF or a FASTA",
    )
    scan: Literal["substitutions", "alanine", "deletions"] | None = Field(
        None, description="scan of the proteins in `fasta` (snakemake variants), or null"
    )
    bundle: str | None = Field(
        None, description="folder of the model bundle to predict with; null for the run's own"
    )
    shards: int = Field(
        8,
        description="number of jobs of a stage that processes single proteins (1 to 256)",
        ge=1,
        le=256,
    )
    seeds: tuple[Seed, ...] = Field(
        (1,),
        description="seeds of the trainings; every fold is trained once for each",
        min_length=1,
        json_schema_extra={"uniqueItems": True},
    )
    folds: tuple[str, ...] | None = Field(
        None,
        description='folds to train and evaluate, such as ["0", "3"]; null for all',
        min_length=1,
        json_schema_extra={"uniqueItems": True},
    )
    dataset: DatasetSection = Field(description="the labelled proteins")
    split: SplitSettings = _section(
        SplitSettings, "assignment of the proteins to training, validation, calibration and test"
    )
    structures: StructureSection = _section(StructureSection, "sources of structures")
    embeddings: EmbeddingSection = _section(
        EmbeddingSection, "the language model and the computation of embeddings"
    )
    finetune: FinetuneSection = _section(
        FinetuneSection, "fine-tuning of the language model for each fold"
    )
    graphs: GraphSettings = _section(GraphSettings, "the residue graphs")
    network: NetworkSettings = _section(NetworkSettings, "hyperparameters of the network")
    training: TrainingSettings = _section(TrainingSettings, "training of networks")
    methods: dict[MethodName, Method] = Field(
        DEFAULT,
        description="methods to train and compare: name and class, with changes of network and "
        "training",
        min_length=1,
    )
    cascade: CascadeSettings = _section(
        CascadeSettings, "methods that combine two others, and conformal sets"
    )
    evaluation: EvaluationSection = _section(
        EvaluationSection, "evaluation and comparison of methods"
    )
    release: ReleaseSection = _section(
        ReleaseSection, "the model bundle of the run (snakemake bundle)"
    )
    predict: PredictOptions = _section(PredictOptions, "prediction of new proteins")


class BenchmarkRunSection(BaseModel):
    """A run of a benchmark; further keys are those of its configuration."""

    model_config = STRICT | ConfigDict(extra="allow")

    title: str = Field(description="what the table calls it", min_length=1)
    configfile: str | None = Field(
        None,
        description="configuration that it starts from; the other keys here take precedence",
    )
    published: str | None = Field(
        None,
        description="data set of resources/published_results.csv whose figures stand beside, or "
        "null",
    )


class BenchmarkSection(BaseModel):
    """The section ``benchmark`` of a configuration."""

    model_config = STRICT

    name: str = Field(
        description="name of the benchmark; its table is written to results/<name>/",
        pattern="^[A-Za-z0-9][A-Za-z0-9_.]*$",
    )
    runs: dict[Annotated[str, Field(pattern=NAME)], BenchmarkRunSection] = Field(
        description="the runs by their names; what stands beside `benchmark` holds for all",
        min_length=1,
    )
