"""What runs models: memory of a device and how fast it computes, by its name.

Peaks are those of NVIDIA's data sheets for dense matrices: A40 (PCIe, 48 GB), A100 (SXM, 80 GB),
H100 (SXM, 80 GB), H200 (SXM, 141 GB). What training sustains is a share of them (`SUSTAINED`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

# Of the peak: what training with large matrices commonly reaches. MFU of 35 to 45 % is usual in
# bf16 from 125M parameters on; kernels in float32 without tensor cores come nearer to theirs.
SUSTAINED: Mapping[str, float] = {"bf16": 0.38, "tf32": 0.35, "fp32": 0.5}
GB = 1e9


@dataclass(frozen=True)
class Device:
    """A GPU, or a CPU core; `peak` in FLOP/s by precision, memory in bytes (0: the host's own)."""

    name: str
    memory: float
    bandwidth: float  # bytes of its memory a second
    peak: Mapping[str, float]

    @property
    def gpu(self) -> bool:
        return self.memory > 0

    def rate(self, precision: str) -> float:
        """FLOP/s that are sustained at a precision."""
        return self.peak[precision] * SUSTAINED[precision]


def _gpu(name: str, memory: float, bandwidth: float, bf16: float, fp32: float) -> Device:
    """TF32 is half of bf16 on all of them."""
    peak = {"bf16": bf16 * 1e12, "tf32": bf16 / 2 * 1e12, "fp32": fp32 * 1e12}
    return Device(name, memory * GB, bandwidth * 1e12, peak)


# A CPU core with small models: what float32 sustains is measured, 12 GFLOP/s, far below any peak.
CORE = Device("cpu", 0.0, 1e10, {"bf16": 1.2e10 / 0.38, "tf32": 1.2e10 / 0.35, "fp32": 2.4e10})
DEVICES: Mapping[str, Device] = {
    "cpu": CORE,
    "a40": _gpu("a40", 48, 0.696, 149.7, 37.4),
    "a100": _gpu("a100", 80, 2.039, 312, 19.5),
    "h100": _gpu("h100", 80, 3.35, 989.4, 66.9),
    "h200": _gpu("h200", 141, 4.8, 989.4, 66.9),
}
LEAST = "a40"  # stands for a GPU that is not named
