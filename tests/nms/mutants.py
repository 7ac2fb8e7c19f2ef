"""Faults in nms_kernel.cu that the tests must find.

Each is an expression, or a statement, and what stands there instead. All are compiled into one library: the number in
emulator.h's `mutant` says which of them is there.
"""

BARRIER = "__syncthreads();"
REMOVED = ";"

MUTANTS = {  # name: (text, fault), or (text, fault, which of several such texts, from 0)
    # the rule
    "suppresses at the threshold": ("iou > threshold", "iou >= threshold"),
    "no float64": ("fabsf(above) > unsure", "true"),
    "float64 too seldom": ("4e-6f * together", "4e-9f * together"),
    "float32 also of tiny areas": ("together > 1e-30f", "true"),
    "another order of additions": ("__dsub_rn(__dadd_rn(first, second), both)",
                                   "__dadd_rn(first, __dsub_rn(second, both))"),
    # the order
    "-0 is below 0": ("scores[index] + 0.0f", "scores[index]"),
    "negative scores ascend": ("bits & 0x80000000u ? bits : ~(bits | 0x80000000u)", "~(bits | 0x80000000u)"),
    "the first index of all": ("(u32)keys[rank]", "(u32)keys[0]", 1),
    # the search
    "one size class too few": ("class_of(far)", "class_of(far) - 1"),
    "one lower size class too few": ("class_of(side * grid.threshold / loose)",
                                     "class_of(side * grid.threshold / loose) + 1"),
    "a class that is not noted": ("!(*classes & bit)", "!*classes"),
    "short reach": ("side * (1 - threshold) * loose", "side * (1 - threshold) * 0.6"),
    "short reach to large boxes": ("most * (0.5 - threshold)", "most * (0.4 - threshold)"),
    "short reach to small boxes": ("(side + most) / 2 - threshold * side",
                                   "((side + most) / 2 - threshold * side) * 0.8"),
    "one column too few": ("search.col < search.last_col", "search.col + 1 < search.last_col"),
    "one row too few": ("search.row < search.last_row", "search.row + 1 < search.last_row"),
    "one box too few": ("search.at = 0, search.end = search.rank;", "search.at = 1, search.end = search.rank;"),
    "a bucket begins late": ("cells[middle] < (u64)slot << 32", "cells[middle] <= (u64)slot << 32"),
    "worse boxes too": ("rank >= search.rank", "rank == search.rank"),
    # waiting
    "no wait": ("theirs == SUPPRESSED", "true"),
    "no ticket": ("atomicAdd(&work->ticket, 1)", "(int)blockIdx.x"),
    "no barrier after the ticket": (BARRIER, REMOVED, 0),
    "a lane leaves alone": ("__any_sync(0xFFFFFFFFu, verdict == UNDECIDED)",
                            "verdict == UNDECIDED && __any_sync(0xFFFFFFFFu, true)"),
    "a verdict is not told": ("told[rank] = verdict;", REMOVED),
    # the result
    "NaN is not seen": ("scores[index] != scores[index]", "false"),
    "infinity is not seen": ("!is_finite(box.z)", "false"),
    "writes beyond the limit": ("position < room", "position <= room"),
    "each block begins at 0": ("if (sum) atomicAdd(&before, sum);", REMOVED),
    "no barrier before the sum": (BARRIER, REMOVED, 1),
    "no barrier after the sum": (BARRIER, REMOVED, 2),
    # the textbook's way
    "bitmask: no barrier after the copy": (BARRIER, REMOVED, 3),
    "bitmask: the next box is not compared": ("row == col ? threadIdx.x + 1 : 0", "row == col ? threadIdx.x + 2 : 0"),
    "bitmask: no barrier after 64 ranks": (BARRIER, REMOVED, 4),
    "bitmask: no barrier after the others": (BARRIER, REMOVED, 5),
}


def with_mutants(source):
    """The source in which `mutant` chooses at each place."""
    places = []
    for number, (text, fault, *which) in enumerate(MUTANTS.values(), 1):
        pieces = source.split(text)
        assert len(pieces) == 2 or which, f"{text}: {len(pieces) - 1} times in the source"
        begin = len(text.join(pieces[:(which or [0])[0] + 1]))
        statement, expression = "{{ if (mutant == {}) {{ {} }} else {{ {} }} }}", "(mutant == {} ? ({}) : ({}))"
        choice = (statement if text.endswith(";") else expression).format(number, fault, text)
        places.append((begin, begin + len(text), choice))
    places.sort()
    out, done = [], 0
    for begin, end, text in places:
        assert begin >= done, f"two mutants at: {text}"
        out += [source[done:begin], text]
        done = end
    return "".join([*out, source[done:]])
