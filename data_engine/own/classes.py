"""What a labelled feature is: the class that its fields, the name of a field or the user say."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from data_engine.map_tags import LABEL_FIELDS, classify_tags
from vlm.errors import DataError

NOTHING: Final = ("", "none", "null", "nan", "0", "0.0", "no", "false")
"""Values, in lower case, by which a feature is not of any class."""
TRUE: Final = ("1", "1.0", "yes", "true")
"""Values that say no more than that a feature is what its field is called."""
_SHOWN: Final = 30
_MARKS: Final = re.compile(r"[^\w\s\-'/&+.()]|_")


@dataclass(frozen=True, slots=True)
class Naming:
    """Say where classes come from: from one field, or one class of all features, or by the usual fields' names."""

    field: str | None = None
    label: str | None = None

    def require_fields(self, fields: Sequence[str], where: str) -> None:
        """Raise DataError that lists the fields of a layer where it lacks the one that was named."""
        if self.field is not None and self.field not in fields:
            raise DataError(f"{where} has no field {self.field!r}: its fields are {_list(fields)}; name one of them")

    def name(self, values: Mapping[str, object], *, area: bool) -> str | None:
        """Give the class of a feature by its fields; None where they say none. `area` says that it is a polygon."""
        if self.label is not None:
            return clean_label(self.label)
        if self.field is not None:
            value = str(values[self.field]).strip()
            if value.lower() in NOTHING:
                return None
            return clean_label(self.field if value.lower() in TRUE else value)
        lower = {key.lower(): value for key, value in values.items()}
        for field in LABEL_FIELDS:
            value = str(lower.get(field) or "").strip()
            if value.lower() not in NOTHING:
                return clean_label(value)
        found = classify_tags(values, area=True) if area else None
        return None if found is None else clean_label(found.label)

    def refuse(self, fields: Sequence[str], where: str) -> DataError:
        """Build the error of a layer of which no feature has a class."""
        if self.field is not None:
            return DataError(f"the field {self.field!r} of {where} is empty everywhere: its fields are {_list(fields)}")
        return DataError(
            f"no field of {where} says what its features are (looked for {', '.join(LABEL_FIELDS)} and OpenStreetMap's "
            f"tags; it has {_list(fields)}): name a field with --label-field, or what all of them are with --label"
        )


def clean_label(text: str) -> str:
    """Write a class as it stands in a sentence: lower case, without what separates classes or marks geometry."""
    return " ".join(_MARKS.sub(" ", text).lower().split())


def _list(fields: Sequence[str]) -> str:
    """List the names of fields, the first of very many."""
    more = f" and {len(fields) - _SHOWN} more" if len(fields) > _SHOWN else ""
    return (", ".join(fields[:_SHOWN]) or "none") + more
