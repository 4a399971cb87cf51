# Inputs and parameters of the rules in ../variants.smk.
VARIANTS_DIGEST = script_digest("variants.py", *modules_of(NETWORKS), *ANY_MODEL)
VARIANTS = f"<results>/variants/{folder_of(config['fasta'] or 'none')}"


def listed_variants(wildcards):
    """The file of variants; none for a scan alone."""
    if config["variants"] is None and config["scan"] is None:
        raise WorkflowError(
            "no variants: snakemake variants --config fasta=wildtype.fasta variants=variants.txt, "
            "or scan=substitutions"
        )
    return literal(config["variants"]) if config["variants"] else []


def variant_tables():
    """The tables that the rule makes."""
    names = {"variants.csv": config["variants"], "scan.csv": config["scan"]}
    return [f"{VARIANTS}/{name}" for name, given in names.items() if given]
