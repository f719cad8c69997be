"""Every refusal of the torch-free half and the model: one root class, one sentence per mistake.

NadirError
|-- InputError            what the user gave cannot be used
|   |-- RasterError       a file that cannot be opened, read or rendered
|   |-- WindowError       a window, bbox or region outside the image
|   |-- PairError         two dates that cannot be laid on one grid
|   |-- InstructionError  an instruction, region or chat turn that cannot be asked
|   `-- GeometryError     coordinates that are no geometry (NaN, zero area, unknown convention)
|-- CheckpointError       a model directory that cannot be loaded
|-- OutputError           a result that cannot be written
|-- DataError             a dataset layout or record that cannot be read
`-- SpliceError           placeholders and features that do not match
"""

from __future__ import annotations


class NadirError(Exception):
    """Carry one sentence that says what, got, expected, where and what to do."""


class InputError(NadirError):
    """Say what the user gave and why it cannot be used."""


class RasterError(InputError):
    """Say which raster cannot be opened, read or rendered."""


class WindowError(InputError):
    """Say which window or region lies outside which image."""


class PairError(InputError):
    """Say why two dates cannot be laid on one grid."""


class InstructionError(InputError):
    """Say why an instruction cannot be asked."""


class GeometryError(InputError):
    """Say which coordinates are no geometry."""


class CheckpointError(NadirError):
    """Say which model directory cannot be loaded."""


class OutputError(NadirError):
    """Say which result cannot be written."""


class DataError(NadirError):
    """Say which dataset layout or record cannot be read."""


class SpliceError(NadirError):
    """Say which placeholder run does not match its features."""
