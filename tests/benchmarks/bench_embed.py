"""Compare embedding of 300 proteins of DeepLoc 2.0 with fair-esm's procedure.

The language model has the shape of a published one and random weights. Fair-esm's side is the
algorithm of its `extract.py` on its own data set, batch converter and model, one file per protein;
it cuts a protein off after 1,022 residues, HALO's side embeds all of it in windows. Each side
counts the residues that it writes. The sides take turns, in rounds; what they write is compared.
On a CPU both compute in float32; on a GPU fair-esm's procedure does, and HALO's side in bfloat16.

What bounds it is measured beside it: the arithmetic of the language model against what the
machine reaches in a product of matrices, and the store alone against the disk. The last line is
one JSON object.

On a CPU, esm-cpp computes some of the proteins with the same weights, in an environment of its own
below `results/`, without writing on either side; it is left out where it cannot be installed.
"""

import argparse
import json
import logging
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch
from esm import Alphabet, FastaBatchedDataset
from esm.model.esm2 import ESM2
from esm.pretrained import load_model_and_alphabet_core

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "workflow"))

import beside_esm_cpp  # noqa: E402
from safetensors.torch import save_file  # noqa: E402
from samples import DEEPLOC, deeploc_sample  # noqa: E402

from halo.embeddings.embed import (  # noqa: E402
    Window,
    embed,
    embed_buckets,
    make_encoder,
    next_batch,
    windows_of,
)
from halo.embeddings.hugging_face import _LAYER, _OTHER  # noqa: E402
from halo.embeddings.layout import LAYOUT, EmbeddingSettings  # noqa: E402
from halo.embeddings.onednn import linear  # noqa: E402
from halo.embeddings.precision import matrix_dtype  # noqa: E402
from halo.embeddings.saving import save_esm2  # noqa: E402
from halo.embeddings.weights import Weights  # noqa: E402
from halo.files import sha256_of_file  # noqa: E402
from halo.malloc import keep_freed_memory  # noqa: E402
from halo.proteins.members import Member  # noqa: E402
from halo.store import Store, bucket_of  # noqa: E402

SHAPES = {  # layers, dimension, heads
    "t6_8M": (6, 320, 20),
    "t12_35M": (12, 480, 20),
    "t30_150M": (30, 640, 20),
    "t33_650M": (33, 1280, 20),
}
LONGEST = 1022  # residues; extract.py cuts off what is beyond
GOALS = {"cpu": 5.0, "cuda": 8.0}
COMPARED = 30  # proteins whose float32 rows are compared
GPU_PEAKS = {"H100": 989e12, "H200": 989e12, "A100": 312e12}  # dense bfloat16, data sheets


def peak_memory() -> int:
    """Bytes that this process held at most.

    Not `ru_maxrss`, which begins with that of the process that started this one.
    """
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) * 1024


def random_model(shape: str) -> ESM2:
    """A model of that shape with random weights."""
    layers, dimension, heads = SHAPES[shape]
    torch.manual_seed(0)
    return ESM2(layers, dimension, heads, Alphabet.from_architecture("ESM-1b"))


def with_fair_esm(members: Sequence[Member], checkpoint: Path, folder: Path, device: str) -> int:
    """The algorithm of `extract.py`; returns the residues that it wrote."""
    # weights_only=False: the file was written by this process.
    content = torch.load(checkpoint, weights_only=False)
    model, alphabet = load_model_and_alphabet_core(checkpoint.stem, content, None)
    model = model.eval().to(device)
    proteins = FastaBatchedDataset([m.seq_hash for m in members], [m.sequence for m in members])
    loader = torch.utils.data.DataLoader(
        proteins,
        collate_fn=alphabet.get_batch_converter(LONGEST),
        batch_sampler=proteins.get_batch_indices(4096, extra_toks_per_seq=1),
    )
    layer, written = model.num_layers, 0
    folder.mkdir()
    with torch.no_grad():
        for names, sequences, tokens in loader:
            found = model(tokens.to(device), repr_layers=[layer], return_contacts=False)
            rows = found["representations"][layer].to("cpu")
            for number, name in enumerate(names):
                length = min(LONGEST, len(sequences[number]))
                one = rows[number, 1 : length + 1].clone()
                torch.save({"label": name, "representations": {layer: one}}, folder / f"{name}.pt")
                written += length
    return written


def with_halo(
    members: Sequence[Member],
    weights: Weights,
    folder: Path,
    settings: EmbeddingSettings,
    device: str,
) -> int:
    """The stage; returns the residues that it wrote."""
    buckets: dict[str, list[Member]] = {}
    for member in members:
        buckets.setdefault(bucket_of(member.seq_hash), []).append(member)
    embed_buckets(buckets, folder, weights, settings, device)
    return sum(len(member.sequence) for member in members)


def largest_difference(
    members: Sequence[Member], weights: Weights, theirs: Path, settings: EmbeddingSettings
) -> float:
    """Between both sides in float32, over proteins that fair-esm does not truncated."""
    encoder = make_encoder(weights, settings.layer, "cpu", torch.float32)
    whole = [member for member in members if len(member.sequence) <= LONGEST][:COMPARED]
    differences = []
    for name, rows in embed(whole, encoder, settings):
        [expected] = torch.load(theirs / f"{name}.pt")["representations"].values()
        differences.append(np.abs(rows - expected.numpy()).max())
    return float(max(differences))


def hugging_face_name(name: str) -> str:
    """The name that transformers gives to a parameter of fair-esm's ESM-2."""
    names = {own: theirs for theirs, own in (_LAYER | _OTHER).items()} | {"lm_head": "lm_head"}
    module, _, kind = name.rpartition(".")
    if name == "lm_head.weight":
        return "lm_head.decoder.weight"
    if name.startswith("layers."):
        _, number, rest = module.split(".", 2)
        return f"esm.encoder.layer.{number}.{names[rest]}.{kind}"
    own = names.get(module, module)
    return f"{own}.{kind}" if own.startswith("lm_head") else f"esm.{own}.{kind}"


def against_esm_cpp(
    members: Sequence[Member],
    weights: Weights,
    settings: EmbeddingSettings,
    shape: str,
    threads: int,
    scratch: Path,
) -> dict[str, object] | None:
    """Residues per second and per second of CPU time on either side; None without esm-cpp."""
    python = beside_esm_cpp.environment()
    if python is None:
        return None
    model = scratch / "model.safetensors"
    state = {hugging_face_name(k): v for k, v in random_model(shape).state_dict().items()}
    save_file({name: value.clone() for name, value in state.items()}, model)
    sequences = [member.sequence for member in members]
    residues = sum(map(len, sequences))
    rates, states = {}, {}
    for dtype in dict.fromkeys([torch.float32, matrix_dtype("auto", "cpu")]):
        encoder = make_encoder(weights, settings.layer, "cpu", dtype)
        clock, cpu = time.perf_counter(), time.process_time()
        found = dict(embed(members, encoder, settings))
        seconds = time.perf_counter() - clock, time.process_time() - cpu
        name = f"halo {str(dtype).removeprefix('torch.')}"
        rates[name] = [round(residues / one) for one in seconds]
        states[name] = [found[member.seq_hash] for member in members]
    for precision in beside_esm_cpp.PRECISIONS:
        seconds, rows = beside_esm_cpp.seconds_of(
            python, model, sequences, precision, threads, scratch
        )
        name = f"esm-cpp {precision}"
        rates[name] = [round(residues / seconds[one]) for one in ("clock", "cpu")]
        states[name] = rows
    exact = states["halo float32"]
    differences = {
        name: float(max(np.abs(one - two).max() for one, two in zip(exact, rows, strict=False)))
        for name, rows in states.items()
    }
    best = {
        side: max(rate[1] for name, rate in rates.items() if name.startswith(side))
        for side in ("halo", "esm-cpp")
    }
    same = rates["halo float32"][1] / rates["esm-cpp float32"][1]
    ratio = best["halo"] / best["esm-cpp"]
    print(f"beside esm-cpp, {len(members)} proteins: residues per second, and of CPU time")
    for name, (clock, cpu) in rates.items():
        print(f"  {name:16s} {clock:10,} {cpu:10,}  largest difference {differences[name]:.1e}")
    print(f"HALO / esm-cpp by CPU time: {same:.2f} in float32, {ratio:.2f} each in its best")
    return {"float32": round(same, 2), "best": round(ratio, 2), "rates": rates}


def operations(found: Sequence[Window], shape: str) -> float:
    """Floating-point operations of the layers' products of matrices for these windows."""
    layers, dimension, _ = SHAPES[shape]
    linears = 2 * 12 * dimension**2  # query, key, value, output; 4 d wide and back
    return float(sum(w.tokens * layers * (linears + 4 * w.tokens * dimension) for w in found))


def padding(found: Sequence[Window], tokens: int) -> float:
    """Share of padding in batches of so many tokens, as a GPU gets them."""
    position = padded = 0
    while position < len(found):
        batch = next_batch(found, position, tokens)
        padded += max(window.tokens for window in batch) * len(batch)
        position += len(batch)
    return 1 - sum(window.tokens for window in found) / padded


def product_rate(shape: str, device: str) -> float:
    """Operations a second: the data sheet of a known GPU, else the widest product, measured."""
    if device == "cuda":
        for name, peak in GPU_PEAKS.items():
            if name in torch.cuda.get_device_name():
                return peak
        raise SystemExit("the peak of this GPU is not known; add it to GPU_PEAKS")
    dimension = SHAPES[shape][1]
    rows, weight = torch.randn(4096, dimension), torch.randn(4 * dimension, dimension)
    with torch.inference_mode():
        product = linear(weight, torch.zeros(4 * dimension))
        taken = min(_seconds(lambda: product(rows)) for _ in range(20))
    return 2.0 * rows.numel() * 4 * dimension / taken


def compute_alone(
    members: Sequence[Member], weights: Weights, settings: EmbeddingSettings, device: str
) -> float:
    """Seconds of the language model without writing, loaded before."""
    dtype = torch.float32 if device == "cpu" else torch.bfloat16
    encoder = make_encoder(weights, settings.layer, device, dtype)

    def run() -> None:
        for _ in embed(members, encoder, settings):
            pass

    if device == "cuda":
        run()  # kernels are chosen in the first run
    return _seconds(run)


def store_against_disk(scratch: Path, megabytes: int = 1024) -> dict[str, float]:
    """MB/s of the store alone, and of the same bytes as one file, both to the disk itself."""
    rng = np.random.default_rng(0)
    rows = rng.standard_normal((500, 1280)).astype(np.float16)
    count = megabytes * 1_000_000 // rows.nbytes
    names = [f"{number % 4:02x}{number:062x}" for number in range(count)]

    def fill() -> None:
        with Store.create(scratch, "disk", {}, LAYOUT).writer() as writer:
            for name in names:
                writer.add(name, {"residues": rows})

    def plain() -> None:
        with (scratch / "plain").open("wb") as file:
            for _ in names:
                file.write(rows.data)
            os.fsync(file.fileno())

    written = count * rows.nbytes / 1e6
    return {"store": written / _seconds(fill), "disk": written / _seconds(plain)}


def _seconds(work) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def main() -> None:
    """Both sides in turns, what bounds them, and the closing line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=DEEPLOC, help="table of DeepLoc 2.0")
    parser.add_argument("--proteins", type=int, default=300)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--threads", type=int, default=os.cpu_count(), help="for either side")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--shape", choices=SHAPES, help="t6_8M on a CPU, t33_650M on a GPU")
    parser.add_argument("--esm-cpp", type=int, default=20, help="proteins for it; 0: leave it out")
    parser.add_argument("--tokens", type=int, help="of a batch, on HALO's side (4096; GPU: 16384)")
    arguments = parser.parse_args()
    device, threads = arguments.device, arguments.threads
    shape = arguments.shape or ("t6_8M" if device == "cpu" else "t33_650M")
    torch.set_num_threads(threads)
    logging.disable(logging.WARNING)
    table = deeploc_sample(arguments.data, arguments.proteins, seed=3).table
    members = [Member(row.seq_hash, (), row.sequence) for row in table.itertuples()]
    tokens = arguments.tokens or (4096 if device == "cpu" else 16384)
    settings = EmbeddingSettings(tokens_per_batch=tokens)
    found = windows_of(members, settings)
    rates: dict[str, list[float]] = {"halo": [], "fair-esm": []}
    with TemporaryDirectory() as name:
        scratch = Path(name)
        checkpoint = scratch / "esm2_random.pt"
        save_esm2(random_model(shape), checkpoint)
        weights = Weights("random", str(checkpoint), sha256_of_file(checkpoint))
        if device == "cuda":  # libraries and kernels are loaded in the first run of a process
            with_halo(members[:2], weights, scratch / "first", settings, device)
            with_fair_esm(members[:2], checkpoint, scratch / "fair-esm", device)
        for number in range(arguments.rounds):
            start = time.perf_counter()
            written = with_halo(members, weights, scratch / f"halo{number}", settings, device)
            rates["halo"].append(written / (time.perf_counter() - start))
            start = time.perf_counter()
            theirs = scratch / f"fair-esm{number}"
            written = with_fair_esm(members, checkpoint, theirs, device)
            rates["fair-esm"].append(written / (time.perf_counter() - start))
            print({side: round(found[-1]) for side, found in rates.items()}, flush=True)
        # The job does so from its start; fair-esm's procedure does not, and would be twice as fast.
        keep_freed_memory()
        difference = largest_difference(members, weights, scratch / "fair-esm0", settings)
        seconds = compute_alone(members, weights, settings, device)
        disk = store_against_disk(scratch)
        whole = [member for member in members if len(member.sequence) <= LONGEST]
        beside = None
        if device == "cpu" and arguments.esm_cpp:
            some = whole[: arguments.esm_cpp]
            beside = against_esm_cpp(some, weights, settings, shape, threads, scratch)
    best = {side: max(found) for side, found in rates.items()}
    ratio = best["halo"] / best["fair-esm"]
    peak = product_rate(shape, device)
    share = operations(found, shape) / seconds / peak
    lost = 0.0 if device == "cpu" else padding(found, settings.tokens_per_batch)
    print(f"{len(members)} proteins, {shape}, {device}, {threads} threads: residues per second")
    for side, rate in best.items():
        print(f"  {side:10s} {rate:10,.0f}")
    print(f"largest difference in float32: {difference:.1e}; padding: {lost:.1%}")
    print(f"products of matrices: {peak / 1e9:,.0f} GFLOP/s; the layers reach {share:.0%} of it")
    print(f"store alone: {disk['store']:,.0f} MB/s, one plain file: {disk['disk']:,.0f} MB/s")
    result = {
        "name": "embed",
        "ratio": round(ratio, 2),
        "goal": GOALS[device],
        "ok": ratio >= GOALS[device] and difference < 1e-4 and lost < 0.05,
        "proteins": len(members),
        "shape": shape,
        "device": torch.cuda.get_device_name() if device == "cuda" else "cpu",
        "threads": threads,
        "residues_per_second": {side: round(rate) for side, rate in best.items()},
        "difference": difference,
        "padding": round(lost, 4),
        "share_of_peak": round(share, 3),
        "megabytes_per_second": {side: round(rate) for side, rate in disk.items()},
        "peak_memory_mb": peak_memory() >> 20,
        "esm_cpp": beside,
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
