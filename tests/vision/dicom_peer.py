"""duet-dicom against pydicom: its sample files, and synthetic ones over the ways in which DICOM says what a value means.
pydicom gives stored values; what becomes of them is PS3.3 C.7.6.3 and C.11 as numpy says it here. Run by ./dev test dicom."""

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
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian, RLELossless, generate_uid

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
    data = np.frombuffer(lut.LUTData, "<u2") if isinstance(lut.LUTData, bytes) else np.asarray(lut.LUTData)
    data = data.astype(np.float64)
    return data[np.clip(np.round(values) - first, 0, len(data) - 1).astype(int)], float(2 ** int(lut.LUTDescriptor[2]) - 1)


def first(value):
    return float(value[0] if isinstance(value, pydicom.multival.MultiValue) else value)


def grey(ds, stored):
    v = stored.astype(np.float64)
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
        v = (v - v.min()) / max(v.max() - v.min(), 1e-9)
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
    if kind.startswith("YBR"):
        stored = convert_color_space(stored, kind, "RGB")
    return stored.astype(np.float64) / (2 ** ds.BitsStored - 1) * 255


def synthetic(rng, i):
    ds = FileDataset(None, {}, preamble=b"\0" * 128)
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = [ExplicitVRLittleEndian, ImplicitVRLittleEndian][i % 2]
    ds.file_meta.MediaStorageSOPClassUID = ds.SOPClassUID = "1.2.840.10008.5.1.4.1.1.7"
    ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID = generate_uid(entropy_srcs=[str(i)])
    ds.PatientID, ds.PatientName = "X", "Y"
    ds.Rows, ds.Columns = int(rng.integers(1, 40)), int(rng.integers(1, 40))
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
    if rng.random() < 0.75:
        values = grey_values(ds, stored)
        ds.WindowCenter = [str(int(rng.uniform(values.min(), values.max() + 1))), "7"]
        ds.WindowWidth = [str(int(max(2, rng.uniform(0.05, 1.2) * (np.ptp(values) + 1)))), "9"]
        if (f := rng.choice(["", "LINEAR", "LINEAR_EXACT", "SIGMOID"])):
            ds.VOILUTFunction = f
    # Not 8 bits in 16: pydicom's RLE of the empty half is "insufficient data" to DCMTK.
    if i % 5 == 0 and kind in (np.uint8, np.uint16) and ds.Rows * ds.Columns % 2 == 0 and ds.BitsAllocated // ds.BitsStored < 2:
        ds.PixelData = stored.tobytes() + b"\0" * (stored.nbytes % 2)
        ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        ds.compress(RLELossless, arr=stored if frames > 1 else stored[0], generate_instance_uid=False)
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


def main():
    rng, bad, n, worst = np.random.default_rng(1), [], 0, 0.0
    for i in range(2000):
        data, frames = synthetic(rng, i)
        frame = int(rng.integers(frames))
        ds = pydicom.dcmread(io.BytesIO(data))
        try:
            off = np.abs(by_duet(data, frame) - by_rule(ds, frame)).max()
        except Refused as e:
            off, ds.why = 999, str(e)
        worst, n = max(worst, off if off < 999 else 0), n + 1
        if off > 1.01:
            bad.append(f"synthetic {i} frame {frame}: off by {off:.2f}: " + " ".join(
                f"{k}={ds.get(k)}" for k in ("PhotometricInterpretation BitsAllocated BitsStored PixelRepresentation RescaleSlope RescaleIntercept "
                                            "WindowCenter WindowWidth VOILUTFunction Rows Columns").split()) + f" lut={'ModalityLUTSequence' in ds} syntax={ds.file_meta.TransferSyntaxUID.name}" + getattr(ds, "why", ""))
    print(f"{n} synthetic files: {n - len(bad)} within one level of 255, the worst of them {worst:.2f} off")
    refused, compared, off_files = [], 0, []
    folder = Path(pydicom.__file__).parent / "data" / "test_files"
    for f in sorted(folder.glob("*.dcm")):
        data = f.read_bytes()
        if data[128:132] != b"DICM":
            continue
        try:
            got = by_duet(data)
        except Refused as e:
            refused.append((f.name, str(e)))
            continue
        try:
            want = by_rule(pydicom.dcmread(f))
        except Exception as e:
            print(f"  {f.name}: read here, not by pydicom ({str(e).splitlines()[0][:80]})")
            continue
        compared += 1
        off = np.abs(got - want)
        if off.max() > 1.01:
            off_files.append(f"{f.name}: at most {off.max():.1f}, on average {off.mean():.2f} off")
    print(f"{compared} of pydicom's files compared; refused:")
    for name, why in refused:
        print(f"  {name}: {why}")
    for line in bad[:8] + off_files:
        print("OFF", line)
    return bool(bad or off_files)


sys.exit(main())
