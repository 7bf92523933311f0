"""Engines: programs that train a run. The same specification in, the same artifacts out.

An engine is one decorated function,

    @engine
    def mine(out, spec, pool, distribution, title, execution) -> None: ...

that trains the run of `spec` (see `native.train`) on the draw's examples in the order of `Batches`,
from the weights that `language_model.build` draws from the seed, and writes into the folder `out`
model.safetensors, with the names and shapes of the architecture, then curve.parquet and
manifest.json by `run_records.write_records`. Whatever reads a run reads these: losses, features and
exports are the same code for every engine. One of the package's own lies in a module of its name,
`-` written as `_`. A command of the config in place of a name is `own_engine`'s.
"""

from __future__ import annotations

import importlib
import os
import shlex
import socket
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from proxyscale import registry
from proxyscale.base import devices, lock


def train(
    out: Path,
    spec: Mapping[str, Any],
    pool: Path,
    distribution: Path,
    title: str,
    execution: Mapping[str, Any],
) -> None:
    """Train one run with the engine that `spec["training"]["engine"]` names, or by its command."""
    engine = spec["training"]["engine"]
    if isinstance(engine, dict):
        own = importlib.import_module(f"proxyscale.training.{registry.COMMANDED}")
        own.train(out, spec, pool, distribution, title, execution)
        return
    alone = "TORCHELASTIC_RUN_ID" not in os.environ  # torchrun has started none of its processes
    if engine == "native" and execution["gpus"] > 1 and alone:
        spread(int(execution["gpus"]), execution["nodes"], execution.get("launcher", ""))
        return
    if engine in registry.ENGINES:
        importlib.import_module(f"proxyscale.training.{engine.replace('-', '_')}")  # it registers
    registry.engine[engine](out, spec, pool, distribution, title, execution)


def spread(processes: int, nodes: int = 1, launcher: str = "") -> None:
    """Run this very command as `processes` processes, one a GPU, under torchrun.

    Of several nodes, `launcher` starts a torchrun on each; they meet on this one.
    """
    each = processes // nodes
    launch = [sys.executable, "-m", "torch.distributed.run", f"--nproc-per-node={each}"]
    # The GPUs are taken already.
    environment = {k: v for k, v in os.environ.items() if k != devices.ENVIRONMENT}
    if nodes == 1:
        launch.append("--standalone")
    else:
        port = _free_port()
        meeting = [f"--nnodes={nodes}", "--rdzv-backend=c10d", f"--rdzv-id={port}"]
        launch += [*meeting, f"--rdzv-endpoint={socket.gethostname()}:{port}"]
        launch = [*shlex.split(launcher.format(nodes=nodes, gpus=each)), *launch]
        environment.pop(lock.PARENT, None)  # who is no process of another node
    # after `--`, lest torchrun take the job's options for shortened ones of its own
    command = [*launch, "-m", "--", "proxyscale", *sys.argv[1:]]
    done = subprocess.run(command, check=False, env=environment)
    if done.returncode:
        sys.exit(done.returncode)


def _free_port() -> int:
    """A port of this node that nobody listens at."""
    with socket.socket() as found:
        found.bind(("", 0))
        port: int = found.getsockname()[1]
    return port
