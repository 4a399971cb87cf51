# A benchmark of several data sets: each run of the section `benchmark` is a module, whose rules are
# named <run>_<rule>.
import shlex


include: "base.smk"


from halo.benchmark.matrix import matrix_text, sizes_of
from halo.benchmark.runs import PUBLISHED_RESULTS, benchmark_runs

try:
    BENCHMARK, RUNS = benchmark_runs(config, BASE, LINES)
except HaloError as error:
    raise WorkflowError(str(error)) from None


RESULTS = f"results/{BENCHMARK}"


def of_every_run(settings):
    """Apply resources of a profile for a rule to the rule of each run."""
    each = {f"{run}_{rule}": value for run in RUNS for rule, value in settings.items()}
    return each | dict(settings)


workflow.resource_settings.overwrite_resources = of_every_run(
    workflow.resource_settings.overwrite_resources
)
workflow.resource_settings.overwrite_threads = of_every_run(
    workflow.resource_settings.overwrite_threads
)
workflow.group_settings.overwrite_groups = of_every_run(workflow.group_settings.overwrite_groups)

for run_name, run in RUNS.items():
    prefix = f"{run_name}_"

    module:
        name: run_name
        snakefile:
            f"{BASE}/Snakefile"
        config:
            run.config

    use rule * from run_name as prefix*


onstart:
    print(matrix_text(sizes_of(RUNS, BASE)))


def results_of(file):
    """A file of every run."""
    return [f"results/{run.config['run']}/{file}" for run in RUNS.values()]


def run_options(wildcards, input):
    """Arguments of the command line for each run."""
    files = zip(input.metrics, input.leakage, input.provenance)
    return " ".join(
        shlex.join(["--run", name, run.title, run.published or "", *paths])
        for (name, run), paths in zip(RUNS.items(), files)
    )


rule benchmark_table:
    input:
        metrics=results_of("evaluation/metrics.json"),
        leakage=results_of("split/leakage.json"),
        provenance=results_of("provenance.json"),
    output:
        table=f"{RESULTS}/table.csv",
        markdown=report(
            f"{RESULTS}/table.md", caption="../workflow/report/benchmark.rst", category="Benchmark"
        ),
        figure=report(
            f"{RESULTS}/macro_f1.svg",
            caption="../workflow/report/benchmark.rst",
            category="Benchmark",
        ),
        provenance=f"{RESULTS}/provenance.json",
    log:
        f"{RESULTS}/logs/table.log",
    localrule: True
    conda:
        "../envs/report.yaml"
    params:
        run=RUN,
        runs=run_options,
        published=Untracked(BASE / PUBLISHED_RESULTS),
        published_digest=sha256_of_file(BASE / PUBLISHED_RESULTS),
        code=script_digest("benchmark.py"),
    shell:
        "{params.run}/benchmark.py {params.runs} --published {params.published:q}"
        " --table {output.table} --markdown {output.markdown} --figure {output.figure}"
        " --provenance {output.provenance} --log {log}"
