"""Random networks under random masks: masked = sliced = ONNX Runtime, and the cost model counts right."""

import numpy as np
import onnx
from onnx import numpy_helper

from conformance_tools import run_tool, session

NETWORKS = 2000


def read(path):
    return numpy_helper.to_array(onnx.TensorProto.FromString(path.read_bytes()))


def test_masked_is_sliced_is_onnx_runtime(tmp_path):
    result = run_tool("random_graphs", 1, NETWORKS, tmp_path)
    assert result["failures"] == []
    assert result["networks"] == NETWORKS
    assert result["removed"] > 3 * NETWORKS, "masks that remove nothing prove nothing"
    for path in sorted(tmp_path.glob("*_sliced.onnx")):
        name = path.name.removesuffix("_sliced.onnx")
        onnx.checker.check_model(onnx.load(path), full_check=True)
        got = session(path).run(None, {"x": read(tmp_path / f"{name}_0.pb")})
        for k, value in enumerate(got):
            wanted = read(tmp_path / f"{name}_{k + 1}.pb")
            assert value.shape == wanted.shape, name
            # float32 sums in another order, through at most about 40 layers
            assert np.abs(value - wanted).max() <= 2e-4 * max(1e-3, np.abs(wanted).max()), name
