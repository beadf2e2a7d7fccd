"""What two or more chapters need: data, operators, metrics, networks, training, figures, numbers, checks."""
from .machinery import ORIGINALS, check
from .machinery.explorables import explore
from .machinery.figures import band, diagram, draw_image, panels, set_style, show
from .machinery.numbers import glue, mean_sd, seeds, spread, table
from .machinery.pictures import course_asset_path, load_grey
from .machinery.verdict import claim
from .metrics import psnr, rmse, ssim
from .networks import CNN, UNet, parameter_count
from .operators import BINOMIAL, MRI, Blur, MultiCoil, Operator, Radon, Sums, add_noise, blur, gaussian
from .phantoms import TEST_PATIENTS, TRAIN_PATIENTS, ellipses, phantoms
from .training import crops, fit

__all__ = ["BINOMIAL", "Blur", "CNN", "MRI", "MultiCoil", "ORIGINALS", "Operator", "Radon", "Sums", "TEST_PATIENTS",
           "TRAIN_PATIENTS", "UNet", "add_noise", "band", "blur", "check", "claim", "course_asset_path", "crops",
           "diagram", "draw_image", "ellipses", "explore", "fit", "gaussian", "glue", "load_grey", "mean_sd", "panels",
           "parameter_count", "phantoms", "psnr", "rmse", "seeds", "set_style", "show", "spread", "ssim", "table"]
