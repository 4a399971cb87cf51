"""Decode BinaryCIF (Sehnal et al. 2020, 10.1371/journal.pcbi.1008247)."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any

import msgpack
import numpy as np

TYPES = {1: "i1", 2: "<i2", 3: "<i4", 4: "u1", 5: "<u2", 6: "<u4", 32: "<f4", 33: "<f8"}
MAX_VALUES = 1 << 24  # per column, since a run-length encoding can declare any number
_DAMAGES = (
    *(KeyError, TypeError, IndexError, AttributeError, RecursionError, ZeroDivisionError),
    msgpack.UnpackException,
)


def is_bcif(data: bytes) -> bool:
    """Whether `data` starts like BinaryCIF: a map with one of its keys."""
    return data[:1] in (b"\x82", b"\x83", b"\x84") and any(
        data[2:].startswith(key) for key in (b"encoder", b"version", b"dataBlocks")
    )


def read_blocks(data: bytes) -> Iterator[Any]:
    """For each block, a function from category and item to the column, or None."""
    try:
        document = msgpack.unpackb(data)
        for block in document["dataBlocks"]:
            yield _columns_of(block)
    except _DAMAGES as error:
        raise _damaged(error) from None


def _damaged(error: Exception) -> ValueError:
    return ValueError(f"damaged BinaryCIF: {type(error).__name__} {error}")


def _columns_of(block: Mapping[str, Any]) -> Any:
    categories = {
        category["name"].lstrip("_").lower(): {
            column["name"].lower(): column for column in category["columns"]
        }
        for category in block["categories"]
    }

    def columns(category: str, item: str) -> np.ndarray | None:
        column = categories.get(category.lower(), {}).get(item.lower())
        try:
            return None if column is None else _column(column)
        except _DAMAGES as error:
            raise _damaged(error) from None

    return columns


def _column(column: Mapping[str, Any]) -> np.ndarray:
    """Numbers or texts; unknown values are NaN or ``""``."""
    values = decode(column["data"]["data"], column["data"]["encoding"])
    mask = column.get("mask")
    if not mask:
        return values
    unknown = decode(mask["data"], mask["encoding"]) != 0
    if values.dtype.kind in "SU":
        return np.where(unknown, "", values)
    return np.where(unknown, np.nan, values) if unknown.any() else values


def decode(data: Any, encodings: Sequence[Mapping[str, Any]]) -> np.ndarray:
    """Decode a column, last encoding first; raises a ValueError for unknown encodings."""
    for encoding in reversed(encodings):
        match encoding["kind"]:
            case "ByteArray":
                data = np.frombuffer(data, TYPES[encoding["type"]])
            case "FixedPoint":
                data = data.astype(np.float64) / encoding["factor"]
            case "IntervalQuantization":
                step = (encoding["max"] - encoding["min"]) / (encoding["numSteps"] - 1)
                data = encoding["min"] + data.astype(np.float64) * step
            case "RunLength":
                values, counts = data.reshape(-1, 2).T
                if counts.min(initial=0) < 0 or counts.sum(dtype=np.int64) > MAX_VALUES:
                    raise ValueError("damaged BinaryCIF: a run of impossible length")
                data = np.repeat(values, counts)
            case "Delta":
                data = np.cumsum(data, dtype=np.int64) + encoding["origin"]
            case "IntegerPacking":
                data = _unpacked(data, encoding["byteCount"], encoding["isUnsigned"])
            case "StringArray":
                data = _strings(data, encoding)
            case kind:
                raise ValueError(f"BinaryCIF with the unknown encoding {kind!r}")
    return data


def _unpacked(data: np.ndarray, width: int, unsigned: bool) -> np.ndarray:
    """Decode integer packing: sums of runs of extreme values and the value after them."""
    bits = 8 * width
    upper = (1 << bits) - 1 if unsigned else (1 << (bits - 1)) - 1
    lower = -upper - 1
    goes_on = data == upper
    if not unsigned:
        goes_on |= data == lower
    number = np.concatenate([[0], np.cumsum(~goes_on)[:-1]])
    count = int((~goes_on).sum())
    return np.bincount(number, weights=data, minlength=count)[:count].astype(np.int64)


def _strings(data: Any, encoding: Mapping[str, Any]) -> np.ndarray:
    offsets = decode(encoding["offsets"], encoding["offsetEncoding"])
    numbers = decode(data, encoding["dataEncoding"])
    text = encoding["stringData"]
    texts = [text[start:stop] for start, stop in pairwise(offsets)]
    return np.array([*texts, ""], dtype=str)[numbers]  # -1 is an unknown one
