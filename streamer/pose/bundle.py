"""Makes the .task bundle that MediaPipe's Tasks API loads from two bare TFLite models: bytes in, bytes out.

The landmark models of the package registries lack the input normalisation that the Tasks API demands;
it is added. They also compute a segmentation mask, at 40 % of the cost, that only some sessions want;
it can be left out, which changes no other output by a single bit.
"""

import io
import struct
import zipfile
from pathlib import Path
from typing import Any

import flatbuffers
import numpy as np
from mediapipe.tasks.metadata import metadata_schema_py_generated as metadata_schema
from mediapipe.tasks.metadata import schema_py_generated as tflite_schema

from streamer.errors import ModelError

DETECTOR_NAME = "pose_detector.tflite"
LANDMARKER_NAME = "pose_landmarks_detector.tflite"
"""The names under which MediaPipe's pose_landmarker_graph.cc looks the models up in a bundle."""

_FLAG_OUTPUT, _SEGMENTATION_OUTPUT = 1, 2
"""Places among the landmark model's outputs: landmarks, pose flag, segmentation, heat map, world."""

_PIXEL_MEAN, _PIXEL_STD = 0.0, 255.0
"""The model takes RGB from 0 to 1: (pixel - mean) / std. From pose_landmark_by_roi_cpu.pbtxt."""

_ALIGNMENT_BYTES = 4
"""MediaPipe maps the models where they lie in the bundle; TFLite wants them aligned so."""

_LOCAL_HEADER_BYTES = 30
_PADDING_FIELD_ID = 0xD935
"""A zip entry's fixed header, and the extra field that Android's zipalign pads with."""


def make_bundle(detector: bytes, landmarker: bytes, *, segmentation: bool) -> bytes:
    """The bundle; the same bytes for the same input. ``segmentation`` keeps the mask's output.

    ``detector`` and ``landmarker`` are the TFLite files of MediaPipe's pose detection and pose
    landmark models; what is neither fails in no particular way, so check digests before.
    """
    model = tflite_schema.ModelT.InitFromPackedBuf(bytearray(landmarker), 0)
    if not segmentation:
        _remove_segmentation(model)
    _add_metadata(model)
    packed = _pack(model, b"TFL3", size_hint=len(landmarker) + 4096)
    return _aligned_zip({DETECTOR_NAME: detector, LANDMARKER_NAME: packed})


def read_bundle(path: Path) -> tuple[bytes, bytes]:
    """The detector and the landmark network of a bundle. Raises ModelError."""
    try:
        with zipfile.ZipFile(path) as archive:
            return archive.read(DETECTOR_NAME), archive.read(LANDMARKER_NAME)
    except (OSError, KeyError, zipfile.BadZipFile) as error:
        raise ModelError(
            f"The model {path.name} can't be read: {error}. Run `streamer models` to make it again."
        ) from error


def _remove_segmentation(model: Any) -> None:
    """Put the pose flag in the mask's place, and drop what only the mask needed.

    The graph reads five outputs, so their number stays; without a mask asked for, nobody reads this
    one's values.
    """
    graph = model.subgraphs[0]
    outputs = [int(output) for output in graph.outputs]
    outputs[_SEGMENTATION_OUTPUT] = outputs[_FLAG_OUTPUT]
    graph.outputs = np.array(outputs, dtype=np.int32)
    needed = set(outputs)
    kept = []
    for operator in reversed(graph.operators):
        if needed.intersection(operator.outputs):
            kept.append(operator)
            needed.update(operator.inputs)
    graph.operators = kept[::-1]
    used = needed.union(graph.inputs, *(operator.outputs for operator in kept))
    for index, tensor in enumerate(graph.tensors):
        if index not in used:
            model.buffers[tensor.buffer].data = None
    model.signatureDefs = None  # they would name the output that is gone


def _add_metadata(model: Any) -> None:
    """Append the metadata buffer that tells the Tasks API how to normalise the input picture."""
    buffer = tflite_schema.BufferT()
    buffer.data = np.frombuffer(
        _pack(_metadata(len(model.subgraphs[0].outputs)), b"M001", size_hint=1024), np.uint8
    )
    model.buffers.append(buffer)
    entry = tflite_schema.MetadataT()
    entry.name = "TFLITE_METADATA"
    entry.buffer = len(model.buffers) - 1
    model.metadata = [*(model.metadata or []), entry]


def _metadata(output_count: int) -> Any:
    """TFLite model metadata for one RGB input picture and ``output_count`` unnamed outputs."""
    normalization = metadata_schema.NormalizationOptionsT()
    normalization.mean, normalization.std = [_PIXEL_MEAN], [_PIXEL_STD]
    process = metadata_schema.ProcessUnitT()
    process.optionsType = metadata_schema.ProcessUnitOptions.NormalizationOptions
    process.options = normalization

    picture = metadata_schema.ImagePropertiesT()
    picture.colorSpace = metadata_schema.ColorSpaceType.RGB
    content = metadata_schema.ContentT()
    content.contentPropertiesType = metadata_schema.ContentProperties.ImageProperties
    content.contentProperties = picture
    stats = metadata_schema.StatsT()
    stats.min, stats.max = [0.0], [1.0]

    tensor = metadata_schema.TensorMetadataT()
    tensor.name = "image"
    tensor.content, tensor.stats, tensor.processUnits = content, stats, [process]
    graph = metadata_schema.SubGraphMetadataT()
    graph.inputTensorMetadata = [tensor]
    graph.outputTensorMetadata = [metadata_schema.TensorMetadataT() for _ in range(output_count)]
    metadata = metadata_schema.ModelMetadataT()
    metadata.name = "pose_landmarks"
    metadata.subgraphMetadata = [graph]
    return metadata


def _pack(table: Any, identifier: bytes, size_hint: int) -> bytes:
    builder = flatbuffers.Builder(size_hint)
    builder.Finish(table.Pack(builder), identifier)
    return bytes(builder.Output())


def _aligned_zip(files: dict[str, bytes]) -> bytes:
    """An uncompressed zip whose files start at multiples of four bytes, with no time in it."""
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_STORED) as archive:
        for name, content in files.items():
            entry = zipfile.ZipInfo(name)  # its date is 1980-01-01
            entry.create_system = 3  # else the bytes would tell Windows from the rest
            unpadded = target.tell() + _LOCAL_HEADER_BYTES + len(name)
            padding = -unpadded % _ALIGNMENT_BYTES
            entry.extra = struct.pack("<HH", _PADDING_FIELD_ID, padding) + bytes(padding)
            archive.writestr(entry, content)
    return target.getvalue()
