"""NMS on a GPU, without one: the kernels are compiled as C++, and CuPy is a stand-in (cuda_emulator.py)."""

import csv
import sys

import numpy as np
import pytest
from cuda_emulator import COMPILER, ORDERS, SOURCE, Array, Card, CardError, Stuck, build
from mutants import MUTANTS, with_mutants

from benchmarks import nms_cuda
from benchmarks.candidates import crowd_candidates
from benchmarks.nms_cases import COUNT, KINDS, cases, differing, outcome
from manyfaces.commands.command_line import run
from manyfaces.errors import InputError
from manyfaces.nms import cpu_nms, gpu_nms, nms

pytestmark = pytest.mark.skipif(not COMPILER, reason="no g++ on this machine, which compiles the kernels for a CPU")
orders = pytest.mark.parametrize("order", ORDERS)
BOXES = np.array([[0, 0, 10, 10], [2, 0, 12, 10], [4, 0, 14, 10]], np.float32)
SCORES = np.array([0.9, 0.8, 0.7], np.float32)


@pytest.fixture(scope="module")
def kernels(tmp_path_factory):
    return build(SOURCE.read_text(encoding="utf-8"), tmp_path_factory.mktemp("kernels"))


@pytest.fixture(scope="module")
def faulty(tmp_path_factory):
    return build(with_mutants(SOURCE.read_text(encoding="utf-8")), tmp_path_factory.mktemp("faulty"))


@pytest.fixture
def use(monkeypatch):
    """use(module) makes a stand-in, or None, the package cupy."""
    def use(module):
        monkeypatch.setitem(sys.modules, "cupy", module)
        gpu_nms.lacking.cache_clear()
        return module

    yield use
    gpu_nms.lacking.cache_clear()
    gpu_nms._kernel.cache_clear()


@pytest.fixture
def card(use, kernels):
    return use(Card(kernels))


def on_card(*case):
    return nms(*case, device="cuda")


# --------------------------------------------------------------------------- the kernels


@orders
def test_every_case_is_that_of_the_cpu(use, kernels, order):
    use(Card(kernels, order))
    assert list(differing(on_card)) == []


@orders
def test_the_textbooks_way_keeps_the_same_boxes(use, kernels, order):
    use(Card(kernels, order))
    assert list(differing(gpu_nms.bitmask_nms, every=7)) == []


def test_the_cases_are_not_trivial():
    """Of each kind, some cases drop a box and some keep several; one kind is refused, for boxes and for scores."""
    assert COUNT == 2000
    seen = {kind: set() for kind in KINDS}
    for name, case in cases(400):
        kept, kind = outcome(cpu_nms, case), name.split(", ")[1]
        seen[kind].add(kept.split(":")[0] if isinstance(kept, str) else ("dropped", len(kept) < len(case.boxes)))
        if isinstance(kept, list) and len(kept) > 1:
            seen[kind].add("several")
    assert seen.pop("not finite") >= {"boxes", "scores"}
    seen.pop("one or none")
    assert [kind for kind, ends in seen.items() if not ends >= {("dropped", True), "several"}] == []


@orders
def test_a_crowd(use, kernels, order):
    use(Card(kernels, order))
    boxes, scores = crowd_candidates(20_000, np.random.default_rng(3))
    np.testing.assert_array_equal(on_card(boxes, scores, 0.3), cpu_nms(boxes, scores, 0.3))


@pytest.mark.parametrize("fault", MUTANTS)
def test_a_fault_is_found(use, faulty, fault):
    """By a case that differs, by threads that wait for ever, or by a write outside of an array."""
    faulty.mutant.value = 1 + list(MUTANTS).index(fault)
    function, found = gpu_nms.bitmask_nms if fault.startswith("bitmask") else on_card, []
    for order in ORDERS:
        use(Card(faulty, order))
        try:
            found.append(next(differing(function, 600), None))
        except (Stuck, CardError) as error:
            found.append(str(error))
        if found[-1]:
            return
    pytest.fail(f"no order finds it: {found}")


def test_without_a_fault_the_same_library_is_right(use, faulty):
    faulty.mutant.value = 0
    use(Card(faulty))
    assert not any(differing(on_card, 600))


# --------------------------------------------------------------------------- the launcher


def test_arrays_on_the_card_give_one_there_and_are_waited_for_once(card):
    kept = on_card(card.asarray(BOXES), card.asarray(SCORES), 0.5)
    assert isinstance(kept, Array) and kept.dtype == np.int64 and card.waits == 1
    assert kept.get().tolist() == [0, 2]
    assert card.launched == ["score_keys", "place", "find_starts", "suppress", "count_kept", "gather"]
    empty = on_card(card.asarray(BOXES[:0]), card.asarray(SCORES[:0]), 0.5)
    assert isinstance(empty, Array) and empty.shape == (0,)


def test_arrays_of_the_host_give_one_there(card):
    kept = nms(BOXES.tolist(), SCORES.tolist(), 0.5, device="cuda")
    assert type(kept) is np.ndarray and kept.dtype == np.intp and kept.tolist() == [0, 2]
    assert nms([], [], 0.5, device="cuda").dtype == np.intp


def test_kernels_are_compiled_once(card):
    for _ in range(3):
        on_card(BOXES, SCORES, 0.5)
    assert len(set(card.sources)) == 1 and len(card.sources) == len(set(card.launched)) == 6


class Tensor:
    """An array of another package on the card, which speaks DLPack.

    Attributes:
        streams: it can be given to a stream; TensorFlow's cannot.
        version: it takes the arguments of DLPack 1.0.
    """

    def __init__(self, values, device=(2, 0), streams=True, version=True, error=None):
        self.values, self.device, self.streams, self.version, self.error = values, device, streams, version, error

    def __len__(self):
        return len(self.values)

    def __dlpack_device__(self):
        return self.device

    def __dlpack__(self, stream=None, **more):
        if self.error or stream is not None and not self.streams:
            raise self.error or RuntimeError("does not support DLPack export with a non-None stream")
        return self.values


def test_a_package_without_streams_is_waited_for(card):
    """As TensorFlow 2.21, whose tensors refuse a stream."""
    kept = on_card(Tensor(BOXES, streams=False), Tensor(SCORES, streams=False), 0.5)
    assert isinstance(kept, Array) and kept.get().tolist() == [0, 2]
    assert card.waits == 4  # for each of the two arrays, for the result, and for this get()


@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_a_tensor_of_the_host_that_numpy_cannot_have(card, device):
    """As one of PyTorch that needs its gradient."""
    class Tracked(Tensor):
        def __array__(self, *_, **__):
            raise RuntimeError("Can't call numpy() on Tensor that requires grad.")

    with pytest.raises(InputError, match="boxes: found no array of numbers .*requires grad"):
        nms(Tracked(BOXES, device=(1, 0)), SCORES, 0.5, device=device)


def unaligned(values):
    room = np.empty(values.size + 8, np.float32)
    start = 1 - room.ctypes.data // 4 % 4 + 4
    room[start:start + values.size] = values.ravel()
    moved = room[start:start + values.size].reshape(values.shape)
    assert moved.ctypes.data % 16 == 4
    return moved


@pytest.mark.parametrize("change", [
    lambda values: values.astype(np.float64), lambda values: values.astype(np.float16), unaligned, np.asfortranarray,
    lambda values: np.repeat(values, 2, axis=-1)[..., ::2], lambda values: (values * 10).astype(np.int64)],
    ids=["float64", "float16", "unaligned", "columns first", "every other", "whole numbers"])
def test_arrays_of_another_type_or_layout(card, change):
    boxes, scores = change(BOXES), change(SCORES)
    assert on_card(Tensor(boxes), Tensor(scores), 0.5).get().tolist() == cpu_nms(boxes, scores, 0.5).tolist() == [0, 2]


@pytest.mark.parametrize("boxes, scores, message", [
    (Tensor(BOXES), SCORES, "boxes and scores: found them in two places"),
    (Tensor(BOXES), Tensor(SCORES, device=(2, 1)), "two places"),
    (Tensor(BOXES, device=(10, 0)), Tensor(SCORES, device=(10, 0)), "DLPack's kind 10, expected host memory or"),
    (Tensor(BOXES, error=NotImplementedError("no bfloat16")), Tensor(SCORES),
     "boxes: CuPy cannot take this array of test_gpu_nms by DLPack .no bfloat16"),
    (Tensor(BOXES, error=BufferError("requires gradient")), Tensor(SCORES), "requires gradient"),
    (Tensor(BOXES, device="here"), Tensor(SCORES), "without one place"),
    (Tensor(BOXES + 1j), Tensor(SCORES), "boxes: found an array of complex64, expected numbers")])
def test_arrays_that_no_card_takes(card, boxes, scores, message):
    with pytest.raises(InputError, match=message):
        on_card(boxes, scores, 0.5)


@pytest.mark.parametrize("arguments", [
    (BOXES, SCORES[:2], 0.5), (BOXES[:, :3], SCORES, 0.5), (BOXES, SCORES[:, None], 0.5), (BOXES, SCORES, 1.5),
    (BOXES, SCORES, np.nan), (BOXES, SCORES, 0.5, -1), (BOXES, SCORES, 0.5, 2.5),
    (BOXES * [1, 1, np.inf, 1], SCORES, 0.5),
    (BOXES, SCORES * np.float32([1, np.nan, 1]), 0.5), (BOXES.ravel(), SCORES, 0.5)], ids=range(10))
def test_wrong_arguments_have_the_message_of_the_cpu(card, arguments):
    expected = outcome(cpu_nms, arguments)
    assert isinstance(expected, str)
    assert outcome(on_card, arguments) == expected
    assert outcome(on_card, (Tensor(arguments[0]), Tensor(arguments[1]), *arguments[2:])) == expected


# --------------------------------------------------------------------------- which device


def test_auto_takes_the_card_for_its_arrays_and_for_many_boxes(card, monkeypatch):
    assert nms(card.asarray(BOXES), card.asarray(SCORES), 0.5, device="auto").get().tolist() == [0, 2]
    assert card.launched
    monkeypatch.setattr(gpu_nms, "AUTO_FROM", 3)
    card.launched.clear()
    assert nms(BOXES[:2], SCORES[:2], 0.5, device="auto").tolist() == [0]
    assert nms(Tensor(BOXES, device=(3, 0)).values, SCORES, 0.5).tolist() == [0, 2]  # pinned memory of the host
    assert card.launched == []
    assert nms(BOXES, SCORES, 0.5, device="auto").tolist() == [0, 2]
    assert card.launched


def test_auto_without_a_card_is_the_cpu(use, monkeypatch):
    use(None)
    monkeypatch.setattr(gpu_nms, "AUTO_FROM", 3)
    assert nms(BOXES, SCORES, 0.5, device="auto").tolist() == [0, 2]
    with pytest.raises(InputError, match="CuPy cannot be imported"):
        nms(Tensor(BOXES), Tensor(SCORES), 0.5, device="auto")
    with pytest.raises(InputError, match="boxes: found"):
        nms(5, SCORES, 0.5, device="auto")


def test_a_missing_package_is_named_with_what_to_install(use):
    use(None)
    with pytest.raises(InputError, match=r"device is 'cuda', but CuPy cannot be imported .*manyfaces\[cuda\].*"
                                         r"cupy-cuda13x\[ctk\]', and never both"):
        on_card(BOXES, SCORES, 0.5)


def no_driver():
    raise CardError("cudaErrorInsufficientDriver")


@pytest.mark.parametrize("change, message", [
    (lambda card: setattr(card.cuda.runtime, "getDeviceCount", no_driver), "finds no GPU .cudaErrorInsufficientDriver"),
    (lambda card: setattr(card.cuda.runtime, "getDeviceCount", lambda: 0), "7.0 or later, found none"),
    (lambda card: setattr(card.cuda.Device, "compute_capability", "61"), "found compute capability 6.1"),
    (lambda card: setattr(card, "RawModule", no_driver), "cannot compile the kernels")])
def test_a_machine_without_a_usable_card(use, kernels, change, message):
    change(use(Card(kernels)))
    with pytest.raises(InputError, match=f"device is 'cuda', but .*{message}.*device='cpu'"):
        on_card(BOXES, SCORES, 0.5)


@pytest.mark.parametrize("device", ["gpu", "cuda:0", "", None, 0])
def test_unknown_device(device):
    with pytest.raises(InputError, match="device: found .*expected one of cpu, cuda, auto"):
        nms(BOXES, SCORES, 0.5, device=device)


def test_cupy_has_what_the_launcher_uses():
    """The stand-in has no more than CuPy has; CuPy needs no GPU for this."""
    cupy = pytest.importorskip("cupy", reason="CuPy is not installed here (pip install cupy-cuda12x, 200 MB)")
    for name in ("empty", "zeros", "asarray", "ascontiguousarray", "from_dlpack", "RawModule", "ndarray"):
        assert hasattr(cupy, name) and hasattr(Card, name)
    for name in ("__len__", "__getitem__", "__dlpack__", "__dlpack_device__", "copy", "reshape", "sort", "get", "shape",
                 "dtype", "ndim", "size"):
        assert hasattr(cupy.ndarray, name) and hasattr(Array, name)
    module = cupy.RawModule(code=SOURCE.read_text(encoding="utf-8"), options=gpu_nms.OPTIONS, backend="nvrtc")
    assert callable(module.get_function) and issubclass(cupy.cuda.runtime.CUDARuntimeError, Exception)
    assert hasattr(cupy.cuda.Device, "compute_capability") and hasattr(cupy.cuda.Device, "synchronize")


# --------------------------------------------------------------------------- the benchmark


def test_the_benchmark_proves_and_times_the_card(card, monkeypatch, tool, tmp_path, capsys):
    proved = []
    monkeypatch.setattr(nms_cuda, "differing", lambda function: iter(proved.append(function) or ()))
    monkeypatch.setattr(nms_cuda, "MOST_PAIRS", 300)
    monkeypatch.setattr(nms_cuda, "SECONDS", 0.0)
    table = tmp_path / "nms.csv"
    assert run(tool("benchmark").main, ["nms", "--device", "cuda", "--counts", "200,400", "--csv", str(table)]) == 0
    assert proved == [gpu_nms.nms, gpu_nms.bitmask_nms]
    with open(table, newline="", encoding="utf-8") as file:
        rows = {(row["row"], row["column"]): row["value"] for row in csv.DictReader(file)}
    for count in ("200", "400"):
        boxes, scores = crowd_candidates(int(count), np.random.default_rng(int(count)))
        assert rows[count, "kept"] == str(len(cpu_nms(boxes, scores, 0.3)))
        assert float(rows[count, "CPU / GPU"]) == pytest.approx(
            float(rows[count, "CPU, ms"]) / float(rows[count, "GPU, ms"]), rel=0.1, abs=0.01)
        assert (rows[count, "matrix of bits, ms"] != "") == (count == "200") and rows[count, "torchvision, ms"] == ""
    assert "Emulated. 2,000 hard cases" in capsys.readouterr().out


def test_the_benchmark_ends_where_boxes_differ(card, monkeypatch):
    monkeypatch.setattr(nms_cuda, "differing", lambda function: iter(["case 7"]))
    with pytest.raises(RuntimeError, match="other boxes than on the CPU, first in case 7"):
        nms_cuda.run((10,))
    monkeypatch.setattr(nms_cuda, "differing", lambda function: iter([]))
    monkeypatch.setattr(nms_cuda, "cpu_nms", lambda *case: np.array([0]))
    with pytest.raises(RuntimeError, match="GPU: other boxes than on the CPU, of 200"):
        nms_cuda.run((200,))


def test_the_benchmark_without_a_card(use, tool, capsys):
    use(None)
    assert run(tool("benchmark").main, ["nms", "--device", "cuda"]) == 2
    assert "error: device is 'cuda', but CuPy cannot be imported" in capsys.readouterr().err


@pytest.mark.parametrize("counts", ["5,x", "0", "", "5,,6", "-5"])
def test_counts_of_the_benchmark(tool, counts, capsys):
    with pytest.raises(SystemExit, match="2"):
        run(tool("benchmark").main, ["nms", f"--counts={counts}"])
    assert f"found '{counts}', expected whole numbers such as 1000,5000" in capsys.readouterr().err


def test_torchvision_must_keep_about_the_same(monkeypatch):
    boxes, scores = crowd_candidates(300, np.random.default_rng(0))
    kept = cpu_nms(boxes, scores, 0.3)

    class Elsewhere(np.ndarray):
        """An array of PyTorch."""

        cuda = cpu = lambda self: self
        numpy = lambda self: np.asarray(self)  # noqa: E731

    torch = type("torch", (), {"from_numpy": staticmethod(lambda array: array.view(Elsewhere))})
    answers = iter([kept, kept, kept[:-5]])
    vision = type("torchvision", (), {"ops": type("ops", (), {"nms": lambda *_: next(answers).view(Elsewhere)})})
    monkeypatch.setitem(sys.modules, "torchvision", vision)
    assert nms_cuda.of_torchvision(torch, boxes, scores, kept)().tolist() == kept.tolist()
    with pytest.raises(RuntimeError, match="torchvision keeps other boxes than ours, of 300"):
        nms_cuda.of_torchvision(torch, boxes, scores, kept)
