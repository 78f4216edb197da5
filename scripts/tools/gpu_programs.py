# Copyright (c) 2026, The isaaclab_offpolicy Developers.
# SPDX-License-Identifier: BSD-3-Clause

"""The programs that torch's compiler writes for a GPU, looked at on a machine without one.

With networks as small as these a GPU spends its time on launching kernels, so that their number says how fast it
learns. Printed is how many kernels each program of a gradient step launches, on a GPU of the H200's class.
``--steps N`` runs the programs for N gradient steps of the critics and one of the actor, Triton's interpreter in place
of the GPU, beside plain gradient steps, and fails where results differ. ``--machine-code`` compiles all kernels down to
the GPU's machine code.

Left out are the compiler's passes over the graph before it is lowered, which need the GPU (constant folding, attention,
padding of products whose sizes are no multiple of 4 in float32 or of 8 in bfloat16). Written for torch 2.11.

Examples::

    scripts/tools/gpu_programs.py
    scripts/tools/gpu_programs.py --machine-code
    scripts/tools/gpu_programs.py --hidden_dims 32 16 --batch_size 8 --steps 2
"""

from __future__ import annotations

import argparse
import copy
import json
import os
import re
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast
from unittest import mock

if any(argument.startswith("--steps") for argument in sys.argv):
    os.environ["TRITON_INTERPRET"] = "1"  # read when Triton is imported

import numpy as np
import torch
import torch._dynamo.device_interface
import torch._inductor.scheduler
import triton
import triton.language as tl
from torch._functorch.aot_autograd import aot_module_simplified
from torch._guards import TracingContext, detect_fake_mode, tracing
from torch._inductor import config as compiler_config
from torch._inductor.codecache import PyCodeCache
from torch._inductor.compile_fx import compile_fx_inner
from torch._inductor.decomposition import select_decomp_table
from torch._inductor.runtime import triton_helpers
from torch._inductor.runtime.triton_heuristics import CachingAutotuner, GridExpr
from torch._subclasses import fake_tensor
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode
from triton.backends.compiler import GPUTarget
from triton.runtime.interpreter import TensorHandle

from isaaclab.utils import to_dict
from isaaclab_rl.rsl_rl import handle_deprecated_rsl_rl_cfg

from isaaclab_offpolicy.algorithms.benchmark import make_learner
from isaaclab_offpolicy.algorithms.rsl_rl_cfg import SacRunnerCfg
from isaaclab_offpolicy.algorithms.sac import SAC
from isaaclab_offpolicy.algorithms.update import GPU_OPTIONS, PRECISIONS, Batches

GPU = torch.device("cuda", 0)
PROGRAMS = ("actor's part", "critics", "actor")
"""In the order in which they are compiled."""


class H200:
    """What the compiler asks of a device (NVIDIA H100 Tensor Core GPU Architecture, 2022, and torch's own fields)."""

    name, major, minor, multi_processor_count, warp_size = "NVIDIA H200", 9, 0, 132, 32
    regs_per_multiprocessor, max_threads_per_multi_processor, max_threads_per_block = 65536, 2048, 1024
    shared_memory_per_block, shared_memory_per_block_optin, shared_memory_per_multiprocessor = 49152, 232448, 233472
    total_memory, L2_cache_size = 141 * 2**30, 50 * 2**20


class Driver:
    """Triton's view of it."""

    def get_current_target(self) -> GPUTarget:
        """Compute capability 9.0, warps of 32 threads."""
        return GPUTarget("cuda", 90, 32)

    def get_current_device(self) -> int:
        """The only one."""
        return 0

    def get_current_stream(self, *_: Any) -> int:
        """The only one."""
        return 0

    def get_active_torch_device(self) -> torch.device:
        """The only one."""
        return GPU


@contextmanager
def pretended_gpu() -> Iterator[None]:
    """Let torch's compiler believe in a GPU."""
    nothing, zero, yes, properties = (lambda *_: None), (lambda *_: 0), (lambda *_: True), (lambda *_: H200)
    interface = torch._dynamo.device_interface.CudaInterface
    triton.runtime.driver.set_active(cast(Any, Driver()))
    with ExitStack() as stack:
        for owner, replaced in (
            (
                torch.cuda,
                {
                    **dict.fromkeys(("init", "_lazy_init", "synchronize", "set_device", "set_rng_state"), nothing),
                    **dict.fromkeys(("current_device", "_exchange_device", "_maybe_exchange_device"), zero),
                    "is_available": yes,
                    "device_count": lambda: 1,
                    "get_device_properties": properties,
                    "get_device_capability": lambda *_: (9, 0),
                    "get_rng_state": lambda *_: torch.zeros(1),
                },
            ),
            (interface, {"get_device_properties": staticmethod(properties)}),
            (interface.Worker, {"get_device_properties": staticmethod(properties)}),
            (torch._inductor.scheduler, {"has_triton": yes}),
            (fake_tensor, {"init_gpu_context": nothing}),
            (triton_helpers, {"set_driver_to_gpu": nothing}),
        ):
            for name, value in replaced.items():
                stack.enter_context(mock.patch.object(owner, name, value))
        yield


class Written(BaseException):
    """The compiler has written its program, which is as far as it gets."""


class Compiler:
    """A backend of ``torch.compile`` that has programs written for the GPU.

    Args:
        interpret: Whether they are run, by Triton's interpreter; otherwise the plain program is run in their place.
        machine_code: Whether their kernels are compiled down to machine code.
        folder: Folder for their sources, which Triton reads.
    """

    def __init__(self, interpret: bool, machine_code: bool, folder: Path) -> None:
        self.interpret, self.machine_code, self.folder = interpret, machine_code, folder
        self.programs: list[Program] = []

    def __call__(self, module: Any, inputs: Sequence[Any], options: dict[str, Any] | None = None) -> Callable[..., Any]:
        """As torch calls it."""

        def compiler(gm: torch.fx.GraphModule, example_inputs: Sequence[Any]) -> Callable[..., Any]:
            source = self._write(copy.deepcopy(gm), example_inputs, options or {})
            program = Program(source, self.folder / str(len(self.programs)))
            self.programs.append(program)
            if self.machine_code:
                program.compile()
            return program if self.interpret else gm.forward

        return aot_module_simplified(
            module,
            inputs,
            fw_compiler=compiler,
            inference_compiler=compiler,
            decompositions=select_decomp_table(),
            keep_inference_input_mutations=True,
        )

    @staticmethod
    def _write(graph: torch.fx.GraphModule, inputs: Sequence[Any], options: dict[str, Any]) -> str:
        """The program for the GPU, of a graph for the CPU."""
        for node in graph.graph.nodes:
            if "device" in node.kwargs:
                node.kwargs = {**node.kwargs, "device": GPU}
        graph.recompile()
        known = detect_fake_mode(inputs)
        mode = FakeTensorMode(shape_env=known.shape_env if known is not None else None)
        written: list[str] = []

        def write(_: Any, source: str, *args: Any, **kwargs: Any) -> None:
            written.append(source)
            raise Written

        settings = {**options, "compile_threads": 1, "fx_graph_cache": False}
        with (
            pretended_gpu(),
            torch.no_grad(),
            compiler_config.patch(settings),
            mock.patch.object(PyCodeCache, "write", classmethod(write)),
        ):
            with mode:
                fakes = [
                    torch.empty_strided(x.shape, x.stride(), dtype=x.dtype, device=GPU)
                    if isinstance(x, torch.Tensor)
                    else x
                    for x in inputs
                ]
                Retrace(graph).run(*fakes)
            with tracing(TracingContext(mode)), suppress(Written):
                compile_fx_inner(graph, fakes)
        return written[0]


class Retrace(torch.fx.Interpreter):
    """Notes for each node of a graph what it gives on the GPU."""

    def run_node(self, n: torch.fx.Node) -> Any:
        """As :meth:`torch.fx.Interpreter.run_node`."""
        n.meta["val"] = super().run_node(n)
        return n.meta["val"]


class Program:
    """A program for the GPU, which runs on the CPU.

    Args:
        source: What the compiler wrote.
        folder: Folder for the sources of its kernels.
    """

    def __init__(self, source: str, folder: Path) -> None:
        self.folder = folder
        folder.mkdir()
        body = source.split("def call(self, args)")[1].split("def benchmark_compiled_module")[0]
        launches = re.findall(r"\b(extern_kernels\.\w+|triton_\w+\.run|\w+\.copy_)\(", body)
        self.launches = [name.removesuffix(".run") for name in launches]
        """What it launches, one after the other."""
        for on_gpu, here in (
            ("guards._empty_strided_cuda", "guards._empty_strided_cpu"),
            ("from torch._C import _cuda_getCurrentRawStream as get_raw_stream", "get_raw_stream = lambda *_: 0"),
            ("async_compile = AsyncCompile()", "async_compile = kernels_of(globals())"),
        ):
            source = source.replace(on_gpu, here)
        self._source = source
        self._scope: dict[str, Any] | None = None
        self.kernels: list[Kernel] = []
        """Those that the compiler wrote itself."""

    @property
    def products(self) -> int:
        """How many of its launches are matrix products."""
        return sum(name.startswith("extern_kernels.") for name in self.launches)

    def compile(self) -> None:
        """Compile its kernels to machine code, in all the forms of which a GPU would choose the fastest."""
        self._load()
        with pretended_gpu():
            for kernel in self.kernels:
                kernel.tuner._precompile_worker()

    def __call__(self, *args: Any) -> tuple[Any, ...]:
        """Run it on the CPU."""
        scope = self._load()
        with pretended_gpu():
            return tuple(scope["call"](list(args)))

    def _load(self) -> dict[str, Any]:
        if self._scope is None:

            def kernel(name: str, source: str, device_str: str) -> Kernel:
                self.kernels.append(Kernel(name, source, self.folder))
                return self.kernels[-1]

            async_compile = SimpleNamespace(triton=kernel, wait=lambda scope: None)
            self._scope = {"__name__": "program", "kernels_of": lambda scope: async_compile}
            with pretended_gpu():
                exec(compile(self._source, "program", "exec"), self._scope)
        return self._scope


class Kernel:
    """One of a program's kernels.

    Args:
        name: Its name.
        source: Its source.
        folder: Folder for it.
    """

    def __init__(self, name: str, source: str, folder: Path) -> None:
        path = folder / f"{name}.py"
        path.write_text(source)  # Triton looks it up there
        scope: dict[str, Any] = {"__name__": name, "__file__": str(path)}
        library = LIBDEVICE if "TRITON_INTERPRET" in os.environ else triton_helpers.libdevice
        with mock.patch.object(triton_helpers, "libdevice", library):
            exec(compile(source, str(path), "exec"), scope)
        self.tuner: CachingAutotuner = scope[name]

    def run(self, *args: Any, stream: int) -> None:
        """Interpret it, with the first of the block sizes that a GPU would try."""
        assert self.tuner.configs is not None
        config, function = self.tuner.configs[0], self.tuner.fn
        grid = GridExpr.from_meta(self.tuner.inductor_meta, config)
        scope: dict[str, Any] = dict(zip(function.arg_names, args, strict=False))
        for line in grid.prefix:
            exec(line, {}, scope)
        size = tuple(eval(str(axis), {}, scope) for axis in (grid.x_grid, grid.y_grid, grid.z_grid))
        blocks = {name: value for name, value in config.kwargs.items() if name in function.arg_names}
        function.run(*args, grid=size, warmup=False, **blocks)


class Operators(TorchDispatchMode):
    """Counts operators that do something, each of which is a kernel or more on a GPU."""

    count = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """As torch calls it."""
        self.count += not func.is_view and not func.overloadpacket.__name__.startswith("empty")
        return func(*args, **(kwargs or {}))


def elementwise(function: Callable[..., np.ndarray]) -> Callable[..., Any]:
    """A function of CUDA's mathematical library for Triton's interpreter."""

    def apply(*args: Any) -> Any:
        first = args[0]
        result = function(*(arg.handle.data for arg in args)).astype(first.handle.data.dtype)
        return tl.tensor(TensorHandle(result, first.handle.dtype), first.type)

    return apply


LIBDEVICE = SimpleNamespace(
    rsqrt=elementwise(lambda x: 1.0 / np.sqrt(x)),
    pow=elementwise(np.power),
    **{name: elementwise(getattr(np, name)) for name in ("abs", "exp", "expm1", "log", "log1p", "sqrt", "tanh")},
)


def learners(args: argparse.Namespace, compiler: Compiler) -> tuple[SAC, SAC, Batches]:
    """A learner with plain gradient steps, the same with the GPU's, and a round of transitions."""
    result = []
    for update in ("eager", "compiled"):
        torch.manual_seed(0)
        cfg = SacRunnerCfg(experiment_name="gpu", device="cpu", num_steps_per_env=1)
        if args.hidden_dims is not None:
            cfg.actor.hidden_dims = cfg.critic.hidden_dims = args.hidden_dims
        cfg.algorithm.update = update
        cfg.algorithm.tau = 0.05  # so that the targets move visibly
        cfg.algorithm.precision = args.precision if update == "compiled" else "float32"
        cfg.algorithm.batch_size, cfg.algorithm.n_steps = args.batch_size, args.n_steps
        cfg.algorithm.policy_delay = args.steps or 1
        options = to_dict(handle_deprecated_rsl_rl_cfg(cfg, "5.5.1")) | {"multi_gpu": None}
        torch_compile = torch.compile

        def compile_for_gpu(function: Any, **kwargs: Any) -> Any:
            return torch_compile(function, **kwargs | {"backend": compiler, "options": GPU_OPTIONS})  # noqa: B023

        with mock.patch.object(torch, "compile", compile_for_gpu):
            result.append(make_learner(options, 64, args.obs_dim, args.num_actions, "cpu", 20))
    return result[0], result[1], result[0]._batches(args.steps or 1)


def weights_of(sac: SAC) -> list[torch.Tensor]:
    """Weights of critics, targets and actor, in one vector each."""
    networks = sac.critic_parameters, sac.target_parameters, sac.actor_parameters
    return [torch.cat([p.detach().flatten() for p in network]) for network in networks]


def main(argv: Sequence[str] | None = None) -> int:
    """Write, look at, and run the programs.

    Returns:
        0, or 1 where results differ.
    """
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    parser.add_argument("--hidden_dims", type=int, nargs="+", help="widths of the hidden layers (published ones)")
    parser.add_argument("--batch_size", type=int, default=512, help="transitions per gradient step (%(default)s)")
    parser.add_argument("--obs_dim", type=int, default=48, help="number of observations (%(default)s)")
    parser.add_argument("--num_actions", type=int, default=12, help="number of joints (%(default)s)")
    parser.add_argument("--n_steps", type=int, default=1, help="steps of the returns (%(default)s)")
    parser.add_argument("--precision", choices=PRECISIONS, default="float32", help="precision (%(default)s)")
    parser.add_argument("--steps", type=int, help="run that many gradient steps, and compare them with plain ones")
    parser.add_argument("--machine-code", action="store_true", help="compile all kernels to machine code")
    parser.add_argument("--list", action="store_true", help="print the kernels in their order")
    parser.add_argument("--out", type=Path, help="JSON file for the numbers")
    args = parser.parse_args(argv)
    if args.steps and args.machine_code:
        parser.error("--machine-code goes without --steps: kernels are either interpreted or compiled")

    with tempfile.TemporaryDirectory() as folder:
        compiler = Compiler(bool(args.steps), args.machine_code, Path(folder))
        plain, fast, batches = learners(args, compiler)
        start = weights_of(plain)
        with Operators() as of_drawing:
            plain._batches(8)
        metrics = [torch.cat([values.clone() for _, values in sac.updater.learn(batches)]) for sac in (plain, fast)]
    report: dict[str, Any] = {}
    for name, program in zip(PROGRAMS, compiler.programs, strict=True):
        report[name] = {"launches": len(program.launches), "products": program.products}
        print(f"{name:<12} {len(program.launches):3d} kernels, {program.products} of them matrix products")
        if args.list:
            print("\n".join(f"    {launch}" for launch in program.launches))
    print(f"{'drawing':<12} {of_drawing.count:3d} operators, for a round of gradient steps, not compiled")
    report["drawing"] = {"operators": of_drawing.count}
    if args.machine_code:
        forms = sum(len(kernel.tuner.compile_results) for program in compiler.programs for kernel in program.kernels)
        kernels = sum(len(program.kernels) for program in compiler.programs)
        print(f"{kernels} kernels compiled to machine code, in {forms} forms")
        report["machine_code"] = {"kernels": kernels, "forms": forms}
    failed = False
    if args.steps:
        weights, of_fast = weights_of(plain), weights_of(fast)
        # relative to the way that they went: Adam makes a step of where a tiny gradient's rounding points to
        differences = {
            "weights": max(
                float((b - a).norm() / (a - s).norm()) for a, b, s in zip(weights, of_fast, start, strict=True)
            ),
            "metrics": float(((metrics[0] - metrics[1]).abs() / metrics[0].abs().clamp_min(1.0)).max()),
        }
        print(
            f"largest difference from plain gradient steps: {differences['weights']:.1e} of the way that weights went,"
            f" {differences['metrics']:.1e} in metrics"
        )
        report["differences"] = differences
        limits = {"weights": 1.0e-2, "metrics": 1.0e-5}
        if args.precision == "bfloat16":
            limits = {"weights": 1.0, "metrics": 2.0e-2}
        failed = not all(differences[name] < limit for name, limit in limits.items())
        if failed:
            print("[ERROR] they do not compute the same", file=sys.stderr)
    if args.out is not None:
        args.out.write_text(json.dumps(report, indent=2) + "\n")
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
