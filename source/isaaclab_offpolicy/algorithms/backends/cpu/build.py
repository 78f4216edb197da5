# Copyright (c) 2026, The isaaclab_offpolicy Developers.
# SPDX-License-Identifier: BSD-3-Clause

"""Compiles and loads the kernels."""

from __future__ import annotations

import ctypes
import hashlib
import os
import platform
import shlex
import subprocess
from functools import cache
from pathlib import Path

import torch

from ..base import UnsupportedError

FLAGS = (
    "-O3", "-march=native", "-std=c++17", "-shared", "-fPIC", "-fopenmp", "-fno-math-errno", "-fno-trapping-math",
    "-fno-signed-zeros",
    # half of the vector registers is what compilers take unasked
    *(["-mprefer-vector-width=512"] if platform.machine() in ("x86_64", "AMD64") else []),
)  # fmt: skip
"""Compiler flags of the kernels."""


@cache
def kernels() -> ctypes.CDLL:
    """The kernels, compiled for this processor at their first use and kept in the user's cache.

    The compiler is g++, or what the environment variable CXX names. The folder is ``~/.cache/isaaclab_offpolicy``, or
    the one below XDG_CACHE_HOME.

    Raises:
        RuntimeError: If there is no C++ compiler, it fails, or its result cannot be kept or loaded.
        UnsupportedError: If torch has no MKL.
    """
    sgemm()
    try:
        library = ctypes.CDLL(str(_build(Path(__file__).with_name("kernels.cpp"))))
    except OSError as error:  # a folder that cannot be written, or from which nothing may be run
        raise RuntimeError(f"the kernels cannot be kept or loaded: {error}") from None
    pointer, whole, number, flag = ctypes.c_void_p, ctypes.c_int64, ctypes.c_float, ctypes.c_int
    network = [pointer, whole, whole, whole, whole]
    library.mlp_workspace.argtypes = [*network, flag, flag]
    library.mlp_workspace.restype = whole
    library.mlp_forward.argtypes = [
        pointer, *network, pointer, whole, pointer, pointer, flag, number, pointer, flag
    ]  # fmt: skip
    library.mlp_backward.argtypes = [pointer, *network, pointer, pointer, flag, pointer, whole, pointer, flag]
    double = ctypes.c_double
    library.adamw.argtypes = [pointer, whole, double, double, double, number, number, number, flag]
    for function in (library.mlp_forward, library.mlp_backward, library.adamw):
        function.restype = None
    return library


@cache
def sgemm() -> int:
    """Address of MKL's product of matrices in torch's own library.

    Called by several threads of a program at once it works in each of them alone, as the kernels need it.

    Raises:
        UnsupportedError: If torch has no MKL.
    """
    if torch.backends.mkl.is_available():
        try:
            library = ctypes.CDLL(str(Path(torch.__file__).parent / "lib" / "libtorch_cpu.so"))
            address = ctypes.cast(library.sgemm_, ctypes.c_void_p).value
        except (OSError, AttributeError):
            address = None
        if address is not None:
            return address
    raise UnsupportedError("backend 'cpu' needs a torch with MKL")


def _build(source: Path) -> Path:
    """Compile a source file, or find what was compiled from it for this processor before."""
    compiler = shlex.split(os.environ.get("CXX") or "g++")
    try:
        version = subprocess.run([*compiler, "--version"], capture_output=True, check=True, stdin=subprocess.DEVNULL)
    except (OSError, subprocess.CalledProcessError) as error:
        raise RuntimeError(
            f"no C++ compiler: {shlex.join(compiler)} does not run ({error}); install g++ or set CXX"
        ) from None
    key = hashlib.sha256()
    for part in (source.read_bytes(), " ".join(FLAGS).encode(), version.stdout, _processor()):
        key.update(part)
    name = f"kernels-{key.hexdigest()[:16]}.so"
    folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "isaaclab_offpolicy"
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / name
    if not target.is_file():
        # beside and renamed: two processes may be at it
        temporary = target.with_name(f"{name}.{os.getpid()}")
        command = [*compiler, *FLAGS, str(source), "-o", str(temporary)]
        result = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL)
        if result.returncode:
            raise RuntimeError(f"the C++ compiler failed: {result.stderr.strip() or shlex.join(command)}")
        os.replace(temporary, target)
    return target


def _processor() -> bytes:
    """What the machine code depends on."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor().encode()
    return next((line for line in lines if line.startswith(("flags", "Features"))), platform.machine()).encode()
