"""The classes of annotated objects: which of them are faces."""

from collections.abc import Collection, Mapping

from ..errors import InputError


def chosen_classes(counts: Mapping[str, int], classes: Collection[str] | None, where: str) -> set[str]:
    """Choose the classes that are faces.

    Args:
        counts: class -> number of its objects.
        classes: the user's choice. None: the only class, whatever its name, or among several those named "face".
        where: the annotation, for messages.

    Raises:
        InputError: lists the classes with their counts: there are several and none is named "face", or none of them
            is in `classes`.

    Examples:
        >>> chosen_classes({"Face": 3, "car": 9}, None, "labels")
        {'Face'}
    """
    if classes is None:
        chosen = set(counts) if len(counts) <= 1 else {name for name in counts if name.lower() == "face"}
        if counts and not chosen:
            raise InputError(f"{where}: expected one class, or one named 'face', found {listed(counts)}; choose those "
                             "that are faces with --classes")
        return chosen
    chosen = set(classes) & set(counts)
    if counts and not chosen:
        raise InputError(f"{where}: expected one of the classes {', '.join(map(repr, sorted(classes)))}, found "
                         f"{listed(counts)}")
    return chosen


def listed(counts: Mapping[str, int], most: int = 20) -> str:
    """Write classes with their counts, the most frequent first.

    Examples:
        >>> listed({"car": 9, "face": 1200})
        "'face' (1,200 objects), 'car' (9)"
    """
    names = sorted(counts, key=lambda name: -counts[name])
    words = [f"{name!r} ({counts[name]:,})" for name in names[:most]]
    if words:
        words[0] = f"{names[0]!r} ({counts[names[0]]:,} object{'s' * (counts[names[0]] != 1)})"
    return ", ".join(words) + (f" and {len(names) - most} more" if len(names) > most else "") or "none"
