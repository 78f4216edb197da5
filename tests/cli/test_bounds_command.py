# Copyright (c) 2026, The isaaclab_offpolicy Developers.
# SPDX-License-Identifier: BSD-3-Clause

from __future__ import annotations

from pathlib import Path

import pytest

from isaaclab_offpolicy.cli.bounds import main
from isaaclab_offpolicy.errors import UserError

GOOD = "source: test\njoints:\n  a: [-1, 1]\n  b: [-2, 0.5]\naction_scale: 0.25\ndefault_pose: {a: 0.1, b: -1.5}\n"

MALFORMED: dict[str, tuple[str | bytes, str]] = {
    # not a bounds file at all
    "empty": ("", "expected a mapping 'joints'"),
    "comment": ("# nothing\n", "expected a mapping 'joints'"),
    "number": ("3\n", "expected a mapping 'joints'"),
    "text": ("joints\n", "expected a mapping 'joints'"),
    "list": ("- a\n- b\n", "expected a mapping 'joints'"),
    "null": ("joints:\n", "expected a mapping 'joints'"),
    "joints are a list": ("joints: [[-1, 1]]\n", "expected a mapping 'joints'"),
    "joints are text": ("joints: a\n", "expected a mapping 'joints'"),
    "no joints": ("joints: {}\n", "no joints"),
    "two documents": (GOOD + "---\n" + GOOD, "not valid YAML"),
    "unknown entry": (GOOD + "lower: 3\n", "unknown entry 'lower'"),
    "JSON of a checkpoint": ('{"actor": 1}', "expected a mapping 'joints'"),
    # broken text
    "truncated in a list": (GOOD[:30], "not valid YAML"),
    "truncated in a name": ("joints:\n  a: [-1, 1]\n  b", "not valid YAML"),
    "truncated in a mapping": ("joints: {a: [-1, 1], b: ", "not valid YAML"),
    "bad indentation": ("joints:\n  a: [-1, 1]\n b: [-1, 1]\n", "not valid YAML"),
    "tab": ("joints:\n\ta: [-1, 1]\n", "not valid YAML"),
    "unclosed quote": ('joints: {"a: [-1, 1]}\n', "not valid YAML"),
    "not UTF-8": (b"joints:\n  \xff\xfe: [-1, 1]\n", "UTF-8"),
    "binary": (bytes(range(256)), "UTF-8"),
    "zero bytes": (b"joints:\n  a\x00: [-1, 1]\n", "not valid YAML"),
    "unknown alias": ("joints: {a: *b}\n", "not valid YAML"),
    "far too large": ("# " + "x" * 1_100_000, "larger than"),
    # joints' names
    "doubled joint": ("joints:\n  a: [-1, 1]\n  a: [-2, 2]\n", "'a' is given twice (line 3)"),
    "doubled entry": (GOOD + "source: again\n", "'source' is given twice"),
    "number as name": ("joints: {1: [-1, 1]}\n", "joint name 1 is not text"),
    "true as name": ("joints: {true: [-1, 1]}\n", "joint name True is not text"),
    "list as name": ("joints: {[a]: [-1, 1]}\n", "cannot be a name"),
    "empty name": ("joints: {'': [-1, 1]}\n", "joint name '' is not text"),
    "blank name": ("joints: {'  ': [-1, 1]}\n", "is not text"),
    "endless name": (f"joints: {{{'a' * 500}: [-1, 1]}}\n", "is longer than 100 characters"),
    "endless entry": (GOOD + f"{'a' * 1000}: 1\n", "unknown entry 'aaaa"),
    "line break in a name": ('joints: {"a\\nb": [-1, 1]}\n', "is not text"),
    "right-to-left override in a name": ("joints: {'a\u202eb': [-1, 1]}\n", "is not text"),
    # bounds
    "one number": ("joints: {a: 1}\n", "joint 'a': expected [low, high]"),
    "three numbers": ("joints: {a: [-1, 0, 1]}\n", "joint 'a': expected [low, high]"),
    "a mapping": ("joints: {a: {low: -1, high: 1}}\n", "joint 'a': expected [low, high]"),
    "words": ("joints: {a: [low, high]}\n", "joint 'a': 'low' is not a number"),
    "text of two": ("joints: {a: ab}\n", "joint 'a': expected [low, high], got 'ab'"),
    "quoted number": ("joints: {a: ['-1', 1]}\n", "joint 'a': '-1' is not a number"),
    "truth": ("joints: {a: [false, true]}\n", "joint 'a': False is not a number"),
    "nothing": ("joints: {a: [~, 1]}\n", "joint 'a': None is not a number"),
    "date": ("joints: {a: [2026-01-01, 1]}\n", "joint 'a': datetime.date(2026, 1, 1) is not a number"),
    "a date that is none": ("joints: {a: [2026-13-45, 1]}\n", "month must be in 1..12"),
    "NaN": ("joints: {a: [.nan, 1]}\n", "joint 'a': low nan is not finite"),
    "infinite": ("joints: {a: [-1, .inf]}\n", "joint 'a': high inf is not finite"),
    "swapped": ("joints: {a: [1, -1]}\n", "joint 'a': low 1.0 is not below high -1.0"),
    "equal": ("joints: {a: [1, 1]}\n", "joint 'a': low 1.0 is not below high 1.0"),
    "too large for single precision": ("joints: {a: [-1, 1.0e+300]}\n", "joint 'a': high 1e+300 is not finite"),
    "too close for single precision": ("joints: {a: [1, 1.0000000001]}\n", "is not below"),
    "too large for a float": (f"joints: {{a: [-1, {'9' * 400}]}}\n", "joint 'a': 9999"),
    "thousands of digits": (f"joints: {{a: [-1, {'9' * 5000}]}}\n", "not valid YAML"),
    "thousands of hexadecimal digits": (f"joints: {{a: [-1, 0x{'F' * 5000}]}}\n", "joint 'a': int is too large"),
    "hundreds of places of sixty": (f"joints: {{a: [-1, 1{':0' * 200}.0]}}\n", "not valid YAML"),
    "both zero in single precision": ("joints: {a: [0, 1.0e-60]}\n", "joint 'a': low 0.0 is not below high 1e-60"),
    # scalars and collections that are not what their tag says
    "timestamp that is none": ("joints: {a: [!!timestamp x, 1]}\n", "not valid YAML"),
    "truth that is none": ("joints: {a: [!!bool maybe, 1]}\n", "not valid YAML"),
    "integer that is none": ("joints: {a: [!!int '', 1]}\n", "not valid YAML"),
    "float that is none": ("joints: {a: [!!float '', 1]}\n", "not valid YAML"),
    "mapping that is a list": ("joints: !!map [1, 2]\n", "not valid YAML"),
    "set that is a list": (GOOD + "info: !!set [a]\n", "not valid YAML"),
    # scale and pose
    "scale of zero": (GOOD.replace("0.25", "0"), "action_scale 0.0 is not positive"),
    "scale is text": (GOOD.replace("0.25", "quarter"), "'action_scale': 'quarter' is not a number"),
    "scale is NaN": (GOOD.replace("0.25", ".nan"), "joint 'a': action_scale nan is not finite"),
    "pose lacks a joint": (GOOD.replace(", b: -1.5", ""), "'default_pose' lacks joint 'b'"),
    "pose of another joint": (GOOD.replace("b: -1.5", "b: -1.5, c: 0"), "'default_pose' names joint 'c'"),
    "pose is a list": (GOOD.replace("{a: 0.1, b: -1.5}", "[0.1, -1.5]"), "'default_pose': [0.1, -1.5] is not a number"),
    # the rest
    "source is a list": (GOOD.replace("source: test", "source: [a]"), "'source' is text"),
    "half a character as source": ('source: "\\ud800"\njoints: {a: [0, 1]}\n', "'source' holds text that is none"),
    "half a character in info": (GOOD + 'info: {a: "\\ud800"}\n', "'info' holds text that is none"),
    "thousands of digits in info": (GOOD + f"info: {{a: 0x{'F' * 5000}}}\n", "'info' holds a number that is too large"),
    "info is text": (GOOD + "info: none\n", "'info' is a mapping"),
    "info with binary data": (GOOD + "info: {a: !!binary aGVsbG8=}\n", "'info' holds binary data"),
    # what YAML can do to a careless reader
    "Python object": (GOOD + "info: !!python/object/apply:os.getcwd []\n", "not valid YAML"),
    "Python name": ("joints: !!python/name:os.system\n", "not valid YAML"),
    "Python tuple": ("joints: {a: !!python/tuple [-1, 1]}\n", "not valid YAML"),
    "alias of itself": (GOOD + "info: &i {a: *i}\n", "'info' holds too much"),
    "list of itself as bounds": ("joints: {a: &x [*x, *x]}\n", "joint 'a': "),
    "a billion laughs": (
        GOOD + "info:\n  a: &a [l, l, l, l, l, l, l, l, l]\n"
        + "".join(f"  {y}: &{y} [{', '.join([f'*{x}'] * 9)}]\n" for x, y in zip("abcdefgh", "bcdefghi", strict=True)),
        "'info' holds too much",
    ),
    "a billion laughs as bounds": (
        "source: &a [l, l, l, l, l, l, l, l, l]\naction_scale:\n"
        + "".join(f"  {y}: &{y} [{', '.join([f'*{x}'] * 9)}]\n" for x, y in zip("abcdefgh", "bcdefghi", strict=True))
        + "joints: {a: *i}\n",
        "joint 'a': expected [low, high], got [[[...]",
    ),
    "nested ten thousand deep": ("joints: " + "[" * 10_000 + "]" * 10_000, "nested too deeply"),
}  # fmt: skip


def test_the_corpus_is_large_enough() -> None:
    assert len(MALFORMED) >= 40


@pytest.mark.parametrize("name", MALFORMED)
def test_a_malformed_file_gives_one_clear_line(name: str, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    content, message = MALFORMED[name]
    path = tmp_path / "bad.yaml"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(UserError) as error:
        main(["show", str(path)])
    text = str(error.value)
    assert text.startswith(f"{path}: ") and message in text
    assert "\n" not in text and len(text) < 400 + len(str(path))
    assert capsys.readouterr().out == ""


def test_a_good_file_is_shown_with_its_joint_targets(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    (tmp_path / "good.yaml").write_text(GOOD + "info: {date: 2026-11-21, samples: 5}\n")
    main(["show", str(tmp_path / "good.yaml")])
    output = capsys.readouterr().out
    assert "samples: 5" in output and "date: 2026-11-21" in output
    rows = {line.split()[0]: line for line in output.splitlines() if line}
    assert rows["b"].split()[1:5] == ["-2.000", "0.500", "-0.750", "1.250"]
    assert rows["b"].endswith("[-2.000, -1.375]"), "-1.5 - 0.25 * 2 to -1.5 + 0.25 * 0.5"
    main(["show", "unitree_a1"])
    assert "FL_hip_joint" in capsys.readouterr().out


def test_missing_files_name_the_nearest_shipped_ones(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no bounds file 'unitree_a2'; shipped are: unitree_a1"):
        main(["show", "unitree_a2"])
    with pytest.raises(UserError, match="no bounds file"):
        main(["show", str(tmp_path)])
    for name in ("~nosuchuser/x", "x" * 300, "x\0y"):
        with pytest.raises(UserError, match="no bounds file") as error:
            main(["show", name])
        assert len(str(error.value)) < 200
    a1 = ["derive", "--task", "Isaac-Velocity-Flat-Unitree-A1-v0", "--out", str(tmp_path / "x.yaml"), "--source"]
    with pytest.raises(UserError, match="no bounds file"):
        main([*a1, "nothing"])
    with pytest.raises(UserError, match=r"'percentile' is none: name the file, one of anymal, .*, unitree_a1"):
        main([*a1, "percentile"])
    with pytest.raises(UserError, match="unknown task"):
        main(["derive", "--task", "Isaac-Velocity-Flat-Unitree-A2-v0", "--source", "1", "--out", "x.yaml"])
