"""Write ct_small.png: the CT slice that comes as a test file with the package pydicom, HU + 1024 in 16 bits.

    pip install pydicom==3.0.2 && python imgs/read_ct_small.py
"""
from pathlib import Path

import numpy as np
import pydicom
from PIL import Image
from pydicom.data import get_testdata_file


def hounsfield() -> np.ndarray:
    """The slice in Hounsfield units, (128, 128), whole numbers."""
    file = pydicom.dcmread(get_testdata_file("CT_small.dcm"))
    return file.pixel_array * int(file.RescaleSlope) + int(file.RescaleIntercept)


if __name__ == "__main__":
    levels = (hounsfield() + 1024).astype(np.uint16)
    Image.fromarray(levels).save(Path(__file__).with_name("ct_small.png"), optimize=True)
