"""Mapping residues of a structure to positions in the sequence."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from halo.structures import match
from halo.structures.confidence import confidence_of
from halo.structures.layout import LAYOUT, Fragment, mean_plddt, pack
from halo.structures.match import best_placed, fragment_of, place
from halo.structures.parse import Chain, StructureError

from .test_structures_server import sequence_of

SEQUENCE = sequence_of("match", 120)
proteins = st.text(alphabet="ACDEFGHIKLMNPQRSTVWY", min_size=30, max_size=200)


def chain_of(letters, numbers=None, b_factor=50.0):
    count = len(letters)
    numbers = np.arange(1, count + 1) if numbers is None else np.asarray(numbers)
    coordinates = np.arange(9 * count, dtype=np.float32).reshape(count, 3, 3)
    b_factors = np.full(max(count, 3), b_factor, np.float32)
    b_factors[1:3] += 1, -1  # a constant would tell nothing
    b_factors = b_factors[:count]
    return Chain("A", letters, numbers.astype(np.int32), coordinates, b_factors, 0)


def test_the_same_sequence():
    placed = place(chain_of(SEQUENCE), SEQUENCE)
    assert placed.position.tolist() == placed.rows.tolist() == list(range(120))
    assert placed.identity == 1.0


def test_a_stretch_of_it():
    placed = place(chain_of(SEQUENCE[30:80]), SEQUENCE)
    assert placed.position.tolist() == list(range(30, 80))
    assert placed.identity == 1.0


def test_residue_numbers_decide_where_a_repeat_leaves_it_open():
    sequence = "GA" * 30
    placed = place(chain_of("GAGA", numbers=[21, 22, 23, 24]), sequence)
    assert placed.position.tolist() == [20, 21, 22, 23]


def test_missing_residues_by_number():
    numbers = [*range(1, 51), *range(61, 121)]
    letters = "".join(SEQUENCE[number - 1] for number in numbers)
    placed = place(chain_of(letters, numbers), SEQUENCE)
    assert (placed.position + 1).tolist() == numbers


@pytest.mark.parametrize("shift", [0, 17])
def test_numbers_decide_between_alignments_that_are_equally_good(shift):
    sequence = sequence_of("repeat", 30) * 4  # of which the second unit is missing
    position = np.array([*range(30), *range(60, 120)])
    letters = "".join(sequence[place] for place in position)
    letters = (
        letters[:5] + "X" + letters[6:-5] + ("A" if letters[-5] != "A" else "G") + letters[-4:]
    )
    placed = place(chain_of(letters, position + 1 + shift), sequence)
    assert placed.position.tolist() == position.tolist()
    assert placed.rows.tolist() == list(range(90))
    assert placed.identity == 88 / 89


def test_numbers_that_fit_worse_than_the_alignment_are_not_used():
    letters = SEQUENCE[:50] + SEQUENCE[70:90] + "A" + SEQUENCE[91:]
    placed = place(chain_of(letters), SEQUENCE)
    assert placed.position.tolist() == [*range(50), *range(70, 120)]


def test_missing_residues_by_alignment():
    letters = SEQUENCE[:50] + SEQUENCE[70:]
    placed = place(chain_of(letters, numbers=range(501, 601)), SEQUENCE)
    assert placed.identity == 1.0
    assert "".join(SEQUENCE[i] for i in placed.position) == letters
    assert (np.diff(placed.position) > 0).all()


def test_residues_that_the_protein_has_not_have_no_place():
    placed = place(chain_of("G" * 4 + SEQUENCE[:60] + "DDDD" + SEQUENCE[60:]), SEQUENCE)
    assert len(placed.rows) == 120
    assert placed.position.tolist() == list(range(120))
    assert placed.identity == pytest.approx(120 / 128)


def test_substitutions_keep_their_place_and_count_against_the_identity():
    letters = SEQUENCE[:60] + ("A" if SEQUENCE[60] != "A" else "C") + SEQUENCE[61:]
    placed = place(chain_of(letters), SEQUENCE)
    assert placed.position.tolist() == list(range(120))
    assert placed.identity == pytest.approx(119 / 120)


def test_residues_that_the_file_does_not_tell_do_not_count():
    placed = place(chain_of(SEQUENCE[:60] + "XX" + SEQUENCE[62:]), SEQUENCE)
    assert placed.position.tolist() == list(range(120))
    assert placed.identity == 1.0
    assert place(chain_of("X" * 120), SEQUENCE).identity == 0.0


def test_another_protein_has_a_low_identity():
    assert place(chain_of(sequence_of("other", 120)), SEQUENCE).identity < 0.7


def test_the_chain_that_fits_best_is_taken():
    chains = [chain_of("ACD"), chain_of(sequence_of("other", 120)), chain_of(SEQUENCE)]
    assert best_placed(chains, SEQUENCE).chain.letters == SEQUENCE


def test_what_would_take_too_much_memory_is_refused(monkeypatch):
    monkeypatch.setattr(match, "MAX_CELLS", 100)
    assert place(chain_of(SEQUENCE), SEQUENCE).identity == 1.0
    with pytest.raises(StructureError, match="too long"):
        place(chain_of(SEQUENCE[1:] + "A"), SEQUENCE)


@given(proteins, st.data())
def test_positions_rise_and_rows_fit_whatever_is_cut_out_and_put_in(sequence, data):
    letters = list(sequence)
    for _ in range(data.draw(st.integers(0, 4))):
        at = data.draw(st.integers(0, max(len(letters) - 1, 0)))
        if data.draw(st.booleans()):
            del letters[at : at + data.draw(st.integers(1, 10))]
        else:
            letters[at:at] = data.draw(st.text(alphabet="ACDEFGHIKLMNPQRSTVWYX", max_size=10))
    if not letters:
        return
    placed = place(chain_of("".join(letters), range(1001, 1001 + len(letters))), sequence)
    assert len(placed.rows) == len(placed.position)
    assert (np.diff(placed.rows) > 0).all()
    assert (np.diff(placed.position) > 0).all()
    assert 0 <= placed.identity <= 1
    if len(placed.rows):
        assert 0 <= placed.position[0] <= placed.position[-1] < len(sequence)
        assert placed.rows[-1] < len(letters)
        equal = sum(
            letters[i] == sequence[j] for i, j in zip(placed.rows, placed.position, strict=True)
        )
        told = sum(letter != "X" for letter in letters)
        assert placed.identity == pytest.approx(equal / max(told, 1))


def test_b_factors_that_are_no_plddt_are_refused_by_default():
    placed = place(chain_of(SEQUENCE, b_factor=120.0), SEQUENCE)
    with pytest.raises(StructureError, match="confidence: none"):
        fragment_of(placed, "plddt")
    assert np.isnan(fragment_of(placed, "none").plddt).all()


@pytest.mark.parametrize(
    ("values", "known"),
    [
        ([50.0] * 4, True),
        ([50.0] * 5, False),
        ([50.0] * 4 + [50.01], True),
        ([50.0] * 4 + [np.nan], True),
        ([0.5] * 5, False),
        ([100.0] * 2, False),
        ([1.0], False),
        ([0.4, 0.7, 1.9, 2.5, 6.0], False),  # errors in angstrom
        ([0.4, 0.7, 1.9, 2.5, 21.0], True),
        ([0.01, 0.02, 0.04, 0.03, 0.19], False),
        ([0.01, 0.02, 0.04, 0.03, 0.21], True),
        ([12.0, 13.0], True),
    ],
)
@pytest.mark.parametrize("column", ["b_factor", "metric"])
def test_values_that_are_the_same_for_all_or_too_low_tell_nothing(column, values, known):
    values = np.array(values, np.float32)
    chain = replace(chain_of(SEQUENCE[: len(values)]), **{column: values})
    found = confidence_of(chain, "plddt")
    assert (np.isfinite(found.plddt) == (np.isfinite(values) & known)).all()
    assert ("confidence unknown" in found.remark) == (not known)


def test_packing_keeps_fragments_apart_and_averages_where_they_overlap():
    first = fragment_of(place(chain_of(SEQUENCE[:80], b_factor=60), SEQUENCE), "plddt")
    second = fragment_of(place(chain_of(SEQUENCE[40:], b_factor=80), SEQUENCE), "plddt")
    arrays = pack([first, second])
    assert arrays["fragment"].tolist() == [[0, 80], [80, 160]]
    assert arrays["position"].tolist() == [*range(80), *range(40, 120)]
    assert len(arrays["coordinates"]) == 160
    # 40 positions have 60, 40 have 70, 40 have 80.
    assert mean_plddt([first, second]) == 70.0
    assert mean_plddt([Fragment(**{**vars(first), "plddt": np.full(80, np.nan)})]) is None
    for packed in (arrays, pack(), pack(contacts=np.array([[0, 1]], np.uint16))):
        for name, kind in LAYOUT.arrays.items():
            assert packed[name].dtype == kind.dtype
            assert packed[name].shape[1:] == kind.row
