"""duet-dicom against pydicom: its sample files, and synthetic ones over the ways in which DICOM says what a value means.
pydicom gives stored values (of JPEG 2000 by the same OpenJPEG); what becomes of them is PS3.3 C.7.6.3 and C.11 as numpy says it here. Run by ./dev test dicom."""

import io
import struct
import subprocess
import sys
import tempfile
import warnings
from pathlib import Path

import numpy as np
import pydicom
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.pixels import convert_color_space, pixel_array
from pydicom.uid import (
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    RLELossless,
    generate_uid,
)

warnings.filterwarnings("ignore")
HELPER = Path(sys.argv[1] if len(sys.argv) > 1 else "build/duet-dicom")


class Refused(Exception):
    pass


def by_duet(data: bytes, frame=0):
    with tempfile.TemporaryFile() as file:
        file.write(data)
        file.seek(0)
        out = subprocess.run([HELPER, str(frame), "50000000", "16384"], stdin=file, capture_output=True, timeout=60).stdout
    magic, refused, size, patient, w, h, channels, frames, burned, _ = struct.unpack_from("<IIQQIIIIII", out)
    assert magic == 0x4D434444
    body = out[struct.calcsize("<IIQQIIIIII"):]
    assert len(body) == size
    if refused:
        raise Refused(body.decode())
    return np.frombuffer(body, np.uint8).reshape(h, w, channels).squeeze(2) if channels == 1 else np.frombuffer(body, np.uint8).reshape(h, w, 3)


def in_order(lut, values):
    """PS3.3 C.11.1.1.2: entries from the first mapped value; outside, the first and the last."""
    first = int(lut.LUTDescriptor[1])
    if values.min() < 0 and first > 32767:  # a word that an implicit file does not say the sign of
        first -= 65536
    data = np.frombuffer(lut.LUTData, "<u2") if isinstance(lut.LUTData, bytes) else np.asarray(lut.LUTData)
    data = data.astype(np.float64)
    return data[np.clip(np.round(values - first), 0, len(data) - 1).astype(int)], float(2 ** int(lut.LUTDescriptor[2]) - 1)


def first(value):
    return float(value[0] if isinstance(value, pydicom.multival.MultiValue) else value)


def grey(ds, stored):
    v = stored.astype(np.float64)
    real = v != int(ds.PixelPaddingValue) if "PixelPaddingValue" in ds else np.full(v.shape, True)
    if "ModalityLUTSequence" in ds:
        v, _ = in_order(ds.ModalityLUTSequence[0], v)
    elif "RescaleSlope" in ds:
        v = v * float(ds.RescaleSlope) + float(ds.RescaleIntercept)
    if "VOILUTSequence" in ds:
        v, top = in_order(ds.VOILUTSequence[0], v)
        v = v / top
    elif "WindowCenter" in ds and ds.WindowCenter not in (None, ""):
        c, w = first(ds.WindowCenter), first(ds.WindowWidth)
        kind = ds.get("VOILUTFunction", "LINEAR")
        if kind == "SIGMOID":
            v = 1 / (1 + np.exp(-4 * (v - c) / w))
        elif kind == "LINEAR_EXACT":
            v = np.clip((v - c) / w + 0.5, 0, 1)
        else:
            v = np.where(v <= c - 0.5 - (w - 1) / 2, 0, np.where(v > c - 0.5 + (w - 1) / 2, 1, (v - (c - 0.5)) / max(w - 1, 1e-9) + 0.5))
    else:
        low, high = (v[real].min(), v[real].max()) if real.any() else (v.max(), v.max())
        v = np.clip((v - low) / (high - low), 0, 1) if high > low else np.clip(v - low, 0, 1)
    if ds.PhotometricInterpretation == "MONOCHROME1":
        v = 1 - v
    return v * 255


def by_rule(ds, frame=0):
    stored = pixel_array(ds, index=frame if int(ds.get("NumberOfFrames", 1) or 1) > 1 else None, raw=True)
    kind = ds.PhotometricInterpretation
    if kind.startswith("MONOCHROME"):
        return grey(ds, stored)
    if kind == "PALETTE COLOR":
        out = pydicom.pixels.apply_color_lut(stored, ds)
        return out / (65535 if out.dtype == np.uint16 else 255) * 255
    if kind in ("YBR_FULL", "YBR_FULL_422"):  # YBR_RCT and YBR_ICT are undone by who unpacks JPEG 2000
        stored = convert_color_space(stored, kind, "RGB")
    return stored.astype(np.float64) / (2 ** ds.BitsStored - 1) * 255


def synthetic(rng, i):
    ds = FileDataset(None, {}, preamble=b"\0" * 128)
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = [ExplicitVRLittleEndian, ImplicitVRLittleEndian][i % 2]
    ds.file_meta.MediaStorageSOPClassUID = ds.SOPClassUID = "1.2.840.10008.5.1.4.1.1.7"
    ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID = generate_uid(entropy_srcs=[str(i)])
    ds.PatientID, ds.PatientName = "X", "Y"
    least = 32 if i % 5 == 1 else 1  # what pylibjpeg's encoder takes as JPEG 2000
    ds.Rows, ds.Columns = int(rng.integers(least, 40)), int(rng.integers(least, 40))
    ds.SamplesPerPixel = 1
    ds.PhotometricInterpretation = rng.choice(["MONOCHROME1", "MONOCHROME2"])
    ds.BitsStored = int(rng.choice([8, 10, 12, 16]))
    ds.BitsAllocated = 8 if ds.BitsStored == 8 and rng.random() < 0.5 else 16
    ds.HighBit = ds.BitsStored - 1
    ds.PixelRepresentation = int(rng.random() < 0.4)
    frames = int(rng.choice([1, 1, 3]))
    if frames > 1:
        ds.NumberOfFrames = frames
    lo, hi = (-(2 ** (ds.BitsStored - 1)), 2 ** (ds.BitsStored - 1)) if ds.PixelRepresentation else (0, 2**ds.BitsStored)
    shape = (frames, ds.Rows, ds.Columns)
    kind = {(8, 0): np.uint8, (8, 1): np.int8, (16, 0): np.uint16, (16, 1): np.int16}[ds.BitsAllocated, ds.PixelRepresentation]
    stored = rng.integers(lo, hi, shape).astype(kind)
    how = rng.choice(["none", "rescale", "negative", "lut"])
    if how == "lut" and not ds.PixelRepresentation and ds.BitsStored <= 12:
        item = pydicom.Dataset()
        n = 2 ** ds.BitsStored
        item.LUTDescriptor = [n, 0, 16]
        item.add_new(0x00283006, "US", [int(x) for x in np.sort(rng.integers(0, 65536, n))])
        item.ModalityLUTType = "US"
        ds.ModalityLUTSequence = [item]
    elif how in ("rescale", "negative"):
        ds.RescaleSlope = str(float(rng.choice([1, 2, 0.5, 1.25])) * (-1 if how == "negative" else 1))
        ds.RescaleIntercept = str(int(rng.integers(-2000, 2000)))
    values = grey_values(ds, stored)
    kind_of_voi = rng.random()
    if kind_of_voi < 0.15 and values.max() < 32000 and values.min() > -32000:
        item = pydicom.Dataset()
        first_value, n = int(np.floor(values.min())) + int(rng.integers(-3, 30)), int(rng.integers(2, 400))
        item.add_new(0x00283002, "SS" if values.min() < 0 or first_value < 0 else "US", [n, first_value, 16])
        item.add_new(0x00283006, "US", [int(x) for x in rng.integers(0, 65536, n)])
        ds.VOILUTSequence = [item]
    elif kind_of_voi < 0.3:
        ds.add_new(0x00280120, "SS" if ds.PixelRepresentation else "US", int(stored.flat[0]))
    else:
        ds.WindowCenter = [str(int(rng.uniform(values.min(), values.max() + 1))), "7"]
        ds.WindowWidth = [str(int(max(2, rng.uniform(0.05, 1.2) * (np.ptp(values) + 1)))), "9"]
        if (f := rng.choice(["", "LINEAR", "LINEAR_EXACT", "SIGMOID"])):
            ds.VOILUTFunction = f
    # Not 8 bits in 16: pydicom's RLE of the empty half is "insufficient data" to DCMTK.
    if i % 5 == 0 and kind in (np.uint8, np.uint16) and ds.Rows * ds.Columns % 2 == 0 and ds.BitsAllocated // ds.BitsStored < 2:
        ds.PixelData = stored.tobytes() + b"\0" * (stored.nbytes % 2)
        ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        ds.compress(RLELossless, arr=stored if frames > 1 else stored[0], generate_instance_uid=False)
    elif i % 5 == 1:
        ds.PixelData = stored.tobytes() + b"\0" * (stored.nbytes % 2)
        ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        ds.compress(JPEG2000Lossless, arr=stored if frames > 1 else stored[0], generate_instance_uid=False)
    else:
        ds.PixelData = stored.tobytes() + b"\0" * (stored.nbytes % 2)
    ds["PixelData"].VR = "OB" if ds.BitsAllocated == 8 else "OW"
    out = io.BytesIO()
    ds.save_as(out, enforce_file_format=True)
    return out.getvalue(), frames


def grey_values(ds, stored):
    if "ModalityLUTSequence" in ds:
        return in_order(ds.ModalityLUTSequence[0], stored)[0]
    return stored * float(ds.get("RescaleSlope", 1)) + float(ds.get("RescaleIntercept", 0))


# Of pydicom's files those that are no picture read here, and why.
REFUSED = {
    "its pixels are damaged": "JPEG2000-embedded-sequence-delimiter",
    "holds no picture": "UN_sequence empty_charset_LEI no_meta_group_length priv_SQ nested_priv_SQ reportsi reportsi_with_empty_number_tags "
    "rtplan test-SR waveform_ecg meta_missing_tsyntax",
    "0 x 0 pixels": "meta_missing_tsyntax nested_priv_SQ",
    "big-endian of 32 bits": "rtdose_expb rtdose_expb_1frame",
    "its attributes end before they should": "MR_truncated rtplan_truncated SC_rgb_jpeg",  # the last is explicit where it says implicit
}
GREY, COLOUR = 0.51, 1.01  # grey is rounded once; colour tables of 16 bits and YBR a second time, on either side


def main():
    rng, bad, n, worst = np.random.default_rng(1), [], 0, 0.0
    for i in range(2000):
        data, frames = synthetic(rng, i)
        frame = int(rng.integers(frames))
        ds = pydicom.dcmread(io.BytesIO(data))
        n += 1
        try:
            off = np.abs(by_duet(data, frame) - by_rule(ds, frame)).max()
        except Refused as e:
            bad.append(f"synthetic {i}: refused: {e}")
            continue
        worst = max(worst, off)
        if off > GREY:
            del ds.PixelData
            bad.append(f"synthetic {i}, frame {frame}: {off:.2f} levels off\n{ds}")
    print(f"{n} made files: {n - len(bad)} within half a level of 255, the worst of all {worst:.2f} off")
    compared = {False: 0, True: 0}
    for f in sorted((Path(pydicom.__file__).parent / "data" / "test_files").glob("*.dcm")):
        data = f.read_bytes()
        if data[128:132] != b"DICM":
            continue
        try:
            got = by_duet(data)
        except Refused as e:
            print(f"  {f.stem}: {e}")
            if not any(word in str(e) and f.stem in names.split() for word, names in REFUSED.items()):
                bad.append(f"{f.stem}: not to be refused so")
            continue
        try:
            want = by_rule(pydicom.dcmread(f))
        except Exception as e:
            print(f"  {f.stem}: read here, not by pydicom ({str(e).splitlines()[0][:80]})")
            continue
        colour = got.ndim == 3
        compared[colour] += 1
        off = np.abs(got - want)
        if off.max() > (COLOUR if colour else GREY):
            bad.append(f"{f.stem}: at most {off.max():.1f}, on average {off.mean():.2f} levels off")
    print(f"of pydicom's files {compared[False]} grey and {compared[True]} colour ones compared; refused and unread ones above")
    if min(compared.values()) < 10:
        bad.append("too few of pydicom's files compared")
    print("\n".join(["OFF " + b for b in bad[:8]]))
    return bool(bad)


sys.exit(main())
