# Compare variants with their wild types:
#   snakemake variants --config fasta=wildtype.fasta variants=variants.txt bundle=bundle/
# or scan a protein, with scan=substitutions. As for predictions, downloads are made where the
# workflow was started.


include: "functions/variants.smk"


rule variants_fetch:
    input:
        wildtypes=queries,
        bundle=literal(config["bundle"]) if config["bundle"] else "<results>/bundle",
        structures=listed_input(PREDICT["structures"]),
    output:
        f"{VARIANTS}/fetched.json",
    log:
        "<logs>/variants_fetch.log",
    localrule: PREDICT["download"]
    conda:
        "../envs/predict.yaml"
    resources:
        afdb=1,
    params:
        run=RUN,
        options=predict_options,
        settings=prediction_settings,
        content=prediction_content,
        transport=Untracked(json.dumps(config["structures"]["transport"])),
        folder=subpath(output[0], parent=True),
        code=VARIANTS_DIGEST,
    shell:
        "{params.run}/variants.py {input.wildtypes:q} --bundle {input.bundle:q} -o {params.folder:q}"
        " --stage fetch {params.options} --settings {params.transport:q} --log {log}"


rule variants:
    input:
        wildtypes=queries_of("variants", "variants.json"),
        variants=listed_variants,
        bundle=literal(config["bundle"]) if config["bundle"] else "<results>/bundle",
        fetched=f"{VARIANTS}/fetched.json",
    output:
        page=f"{VARIANTS}/variants.html",
        json=f"{VARIANTS}/variants.json",
        rejected=f"{VARIANTS}/rejected_variants.csv",
        tables=variant_tables(),
    log:
        "<logs>/variants.log",
    benchmark:
        "<benchmarks>/variants.tsv"
    conda:
        "../envs/predict.yaml"
    threads: 8
    resources:
        gpu=gpus_of_a_job(),
    params:
        run=RUN,
        device=lambda wildcards, resources: Untracked(f"--device {device(wildcards, resources)}"),
        options=predict_options,
        settings=prediction_settings,
        content=prediction_content,
        variants=content_of(config["variants"]),
        scan=option("scan", config["scan"]),
        folder=subpath(output.page, parent=True),
        code=VARIANTS_DIGEST,
    shell:
        "{params.run}/variants.py {input.wildtypes:q} {input.variants:q} --bundle {input.bundle:q}"
        " -o {params.folder:q} {params.scan} --stage predict --threads {threads} {params.device}"
        " {params.options} --log {log}"
