"""Models of a run, compared with an exhaustive search over folds, seeds and methods."""

from dataclasses import replace
from itertools import permutations, product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from halo.errors import HaloError
from halo.methods import BASELINES, JOINING, NEIGHBOURS, NETWORKS
from halo.model_key import ModelKey
from halo.plan import Plan
from halo.store import BUCKETS

NAMES = st.text("ab1_.-", max_size=3).map("m".__add__)


@st.composite
def configs(draw) -> dict:
    """What the plan reads of a complete configuration, as its check lets it through."""
    finetuned = draw(st.booleans())
    known = [*NETWORKS, *NEIGHBOURS, "esm", *BASELINES]
    kinds = draw(st.lists(st.sampled_from(known), min_size=1, max_size=6))
    methods = {f"m{number}": {"class": kind} for number, kind in enumerate(kinds)}
    for name, kind in zip(list(methods), kinds, strict=True):
        if kind in (*NETWORKS, *NEIGHBOURS) and draw(st.booleans()):
            methods[name]["embeddings"] = "pretrained"
    if not finetuned and set(kinds) == {"esm"}:  # the check wants one that is made
        methods["last"] = {"class": "majority"}
    pairs = list(permutations(methods, 2))
    for number, pair in enumerate(
        draw(st.lists(st.sampled_from(pairs), max_size=2)) if pairs else ()
    ):
        joined = {"class": draw(st.sampled_from(JOINING)), "of": list(pair)}
        methods = (
            {f"j{number}": joined, **methods}
            if draw(st.booleans())
            else {**methods, f"j{number}": joined}
        )
    count = draw(st.integers(1, 12))
    folds = [str(number) for number in range(count)]
    few = draw(st.none() | st.lists(st.sampled_from(folds), min_size=1, unique=True))
    seeds = draw(st.lists(st.integers(0, 2**32 - 1), min_size=1, max_size=3, unique=True))
    release = {
        "method": None,
        "folds": draw(st.none() | st.lists(st.sampled_from(few or folds), min_size=1, unique=True)),
        "seeds": draw(st.none() | st.lists(st.sampled_from(seeds), min_size=1, unique=True)),
        "all_proteins": False,
    }
    if draw(st.booleans()):
        release |= {"folds": None, "all_proteins": True}
    return {
        "shards": draw(st.integers(1, 256)),
        "seeds": seeds,
        "folds": few,
        "split": {
            "name": draw(st.sampled_from([None, "my_split"])),
            "mode": "kfold",
            "folds": count,
        },
        "finetune": {"model": "finetuned" if finetuned else "pretrained"},
        "methods": methods,
        "evaluation": {"main": None},
        "release": release,
    }


def is_made(config: dict, seed: int, method: str) -> bool:
    """Whether a run has a model of this method and seed, by the words of the documentation."""
    section, finetuned = config["methods"][method], config["finetune"]["model"] == "finetuned"
    first = seed == config["seeds"][0]
    if section["class"] == "esm":
        return finetuned and first
    if section["class"] in (*NEIGHBOURS, *BASELINES):
        return first
    if section["class"] in JOINING:
        kinds = {config["methods"][member]["class"] for member in section["of"]}
        return finetuned or "esm" not in kinds
    return True


def searched(config: dict) -> set[ModelKey]:
    """Every fold, seed and method, of which those are kept that are made."""
    folds = config["folds"] or [str(number) for number in range(config["split"]["folds"])]
    split = config["split"]["name"] or config["split"]["mode"]
    return {
        ModelKey(split, fold, seed, method)
        for fold, seed, method in product(folds, config["seeds"], config["methods"])
        if is_made(config, seed, method)
    }


@settings(max_examples=50)
@given(configs())
def test_the_models_are_those_that_a_search_finds(config):
    plan = Plan.from_config(config)
    models = plan.models(plan.compared)
    assert len(models) == len(set(models))
    assert set(models) == searched(config)


@settings(max_examples=50)
@given(configs())
def test_what_a_model_joins_is_made_in_its_fold(config):
    plan = Plan.from_config(config)
    made = searched(config)
    for key in plan.models(plan.methods.joined):
        members = plan.members(key)
        assert [member.method for member in members] == list(config["methods"][key.method]["of"])
        assert {member.fold for member in members} == {key.fold}
        assert set(members) <= made
        for member in members:
            kind = config["methods"][member.method]["class"]
            assert member.seed == (key.seed if kind in NETWORKS else config["seeds"][0])


@settings(max_examples=50)
@given(configs())
def test_the_language_models_are_those_that_a_trained_method_reads(config):
    plan = Plan.from_config(config)
    finetuned = config["finetune"]["model"] == "finetuned"
    read = set()
    for key in searched(config):
        method = config["methods"][key.method]
        if method["class"] in (*NETWORKS, *NEIGHBOURS, "esm"):
            own = finetuned and method.get("embeddings") != "pretrained"
            assert plan.reads_finetuned(key.method) == own
            read.add(key.fold if own else None)
    assert len(plan.language_models) == len(read)
    assert set(plan.language_models) == read


@settings(max_examples=50)
@given(configs())
def test_a_bundle_has_models_of_the_run(config):
    plan = Plan.from_config(config)
    made, folds, seeds = searched(config), config["release"]["folds"], config["release"]["seeds"]
    if config["release"]["all_proteins"]:  # the same methods and seeds, of one other fold
        made = {replace(key, fold="all") for key in made}
    classes = {name: method["class"] for name, method in config["methods"].items()}
    for method in plan.methods.all:
        chosen = replace(plan, released=method)
        members = config["methods"][method].get("of", [method])
        if not {classes[name] for name in members} <= {*NETWORKS, "esm"}:
            with pytest.raises(HaloError, match="no trained method"):
                _ = chosen.released_models
            continue
        own = {chosen.reads_finetuned(name) for name in chosen.released_members}
        if len(own) > 1:
            with pytest.raises(HaloError, match="one language model per fold"):
                _ = chosen.released_models
            continue
        one_seed = config["methods"][method]["class"] == "esm"
        expected = {
            key
            for key in made
            if key.method == method
            and (folds is None or key.fold in folds)
            and (one_seed or seeds is None or key.seed in seeds)
        }
        assert set(chosen.released_models) == expected
        assert set(chosen.released_networks) <= made
        assert chosen.released_finetuned == (own == {True})


@settings(max_examples=50)
@given(configs())
def test_models_of_all_proteins_are_made_for_the_bundle_and_not_evaluated(config):
    plan = Plan.from_config(config)
    evaluated = plan.models(plan.compared)
    assert "all" not in {key.fold for key in evaluated} | set(plan.language_models)
    more = plan.all_models[len(evaluated) :]
    assert plan.all_models[: len(evaluated)] == evaluated
    if not config["release"]["all_proteins"] or plan.released is None:
        assert not more
        return
    assert plan.all_folds == [*plan.folds, "all"]
    try:
        released = plan.released_models
    except HaloError:
        return
    members = [
        member for key in released if key.method in plan.joins for member in plan.members(key)
    ]
    assert {*released, *plan.released_networks, *members} == set(more)
    assert {key.fold for key in more} == {"all"}
    assert set(plan.released_language_models) == {
        *plan.language_models,
        *(["all"] if plan.released_finetuned else []),
    }


@settings(max_examples=50)
@given(configs())
def test_every_bucket_is_in_one_shard(config):
    plan = Plan.from_config(config)
    assert [b for shard in plan.shards for b in plan.buckets(shard)] == list(BUCKETS)
    assert all(plan.buckets(shard) for shard in plan.shards)


@given(NAMES, st.integers(0, 99).map(str), st.integers(0, 2**32 - 1), NAMES)
def test_a_key_is_read_from_its_path(split, fold, seed, method):
    key = ModelKey(split, fold, seed, method)
    assert ModelKey.parse(key.path) == key
    assert ModelKey.parse(f"/a/results/run/{key.path}") == key


@pytest.mark.parametrize("folder", ["", "halo", "1/halo", "0/1/halo", "kfold/0/one/halo"])
def test_another_folder_is_no_model(folder):
    with pytest.raises(HaloError, match="not the folder of a model"):
        ModelKey.parse(folder)
