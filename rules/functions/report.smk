# Inputs and parameters of the rules in ../report.smk.
def benchmark_files(wildcards):
    """Names of Snakemake's benchmark files of the run's jobs.

    {shard} stands for each shard: of a name a shard the command line would be too long.
    """
    methods = PLAN.methods
    folds = PLAN.folds if PLAN.finetuned else ()
    names = ["ingest", "split", "structures/manifest", "evaluate"]
    names += ["embedding_file" if FROM_FILE else "language_model"]
    names += ["structures/{shard}", "graphs/{shard}"]
    names += [f"embeddings/{place_of(fold)}{{shard}}" for fold in (None, *folds)]
    names += [f"finetune/{PLAN.split}-{fold}" for fold in folds]
    for rule, made in (
        ("train", methods.networks),
        ("esm", methods.esm),
        ("nearest_neighbour", methods.neighbours),
        ("baseline", methods.baselines),
        ("join_methods", methods.joined),
    ):
        names += [
            f"{rule}/{key.split}-{key.fold}-{key.seed}-{key.method}" for key in PLAN.models(made)
        ]
    return names
