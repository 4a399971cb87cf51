"""What is computed on a GPU mixes no devices and waits for no value; see `fake_gpu`."""

import json
import os
import subprocess
import sys

import pytest
from torch.utils import backend_registration

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def outcomes(root) -> dict[str, str]:
    """What each path said, run in a process of its own."""
    if not hasattr(backend_registration, "_setup_privateuseone_for_python_backend"):
        pytest.skip("this PyTorch has no devices made in Python")
    done = subprocess.run(
        [sys.executable, str(root / "tests/fake_gpu.py")],
        env={**os.environ, "PYTHONPATH": str(root / "workflow"), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_mixed_devices_are_an_error(outcomes):
    assert outcomes["mix"].startswith("FakeTensorDeviceMismatchError")


def test_embedding_training_and_fine_tuning_run_on_the_gpu(outcomes):
    paths = {name: said for name, said in outcomes.items() if name != "mix"}
    assert {name.split()[0] for name in paths} == {"embed", "train", "finetune"}
    assert paths == dict.fromkeys(paths, "ok")
