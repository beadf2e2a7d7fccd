"""Draw a synthetic chest-CT-like slice: 512 x 512 pixels, 8-bit grey.

Nobody was scanned: the outlines are invented and the vessels grow at random
(seed 22), so this is not the anatomy of a person and has no medical meaning.
The view is zoomed on the right lung, which as usual lies at the picture's left.

Intensity in [0, 1] is (HU + 1000) / 2400, HU being the CT number: air 0,
lung 0.04, fat 0.375, soft tissue 0.41-0.47, bone up to about 0.95.
Usage: python draw_ct_slice.py [OUTPUT.png]        Licence: CC0 1.0.
"""
import sys
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

SEED = 22
N = 512                                 # picture side, pixels
M = 2 * N                               # drawing grid, averaged 2 x 2 at the end
FOV = 208.0                             # picture side, mm
CORNER = np.array([-142.0, -78.0])      # top left, mm; x = 0 is the midline, y grows towards the back
PX = M / FOV                            # grid points per mm
SLAB = 3.0                              # slice thickness, mm
AIR, LUNG, FAT, FLUID, MUSCLE, BLOOD, MARROW, CORTEX = 0.0, 0.04, 0.375, 0.41, 0.44, 0.47, 0.58, 0.87

# Closed outlines: corners (x, y) in mm, rounded when drawn.
BODY = [(-60, -140), (-135, -115), (-158, -60), (-166, 0), (-168, 60), (-146, 106), (-92, 124), (-40, 125),
        (0, 117), (40, 125), (100, 122), (170, 0), (100, -140)]
CAGE = [(-20, -112), (-80, -108), (-123, -79), (-142, -30), (-145, 20), (-135, 62), (-103, 96), (-60, 106),
        (-28, 90), (28, 90), (60, 106), (104, 96), (145, 20), (120, -80), (60, -112)]
LUNGS = [[(-16, -104), (-74, -99), (-114, -72), (-133, -26), (-136, 18), (-126, 57), (-98, 87), (-62, 98),
          (-42, 90), (-29, 73), (-23, 60), (-22, 46), (-7, 34), (-12, 25), (-40, 22), (-42, 4), (-52, -14),
          (-62, -40), (-54, -66), (-30, -84)],
         [(42, 90), (30, 74), (24, 62), (27, 54), (42, 46), (43, 26), (58, 14), (120, -10), (130, 40),
          (96, 88), (62, 98)]]
MEDIASTINUM = [(-40, 10), (-12, 26), (-14, 36), (-20, 46), (-6, 39), (8, 39), (22, 56), (44, 44), (60, 0)]
HEART = [(-34, 16), (-46, -6), (-58, -30), (-56, -58), (-34, -80), (40, -100), (110, -60), (60, 10), (40, 20),
         (4, 22)]
CHAMBERS = [[(-30, 12), (-28, 0), (0, -6), (30, -4), (40, 6), (30, 16), (0, 19)],          # left atrium
            [(-54, -30), (-50, -58), (-34, -66), (-24, -48), (-26, -20), (-42, -10)],       # right atrium
            [(-14, -22), (-15, -42), (0, -50), (15, -42), (15, -22), (0, -13)],             # aortic root
            [(-16, -66), (0, -84), (60, -84), (58, -58), (24, -44), (22, -58), (0, -60)],   # right ventricle
            [(34, -14), (30, -36), (62, -48), (90, -40), (90, -10), (54, -8)]]              # left ventricle
# Lung roots: here vessels may run outside the lung.
HILA = [[(-16, -10), (-36, -16), (-50, -10), (-46, 10), (-40, 24), (-16, 24)], [(34, 6), (34, 32), (58, 34), (70, 6)]]
VERTEBRA = [(-15, 66), (-20, 58), (-16, 45), (-6, 40), (7, 40), (17, 45), (20, 58), (15, 66), (6, 66), (-6, 66)]

# Tubes: chains of (x, y, radius) in mm.  GROOVES is the fat between the chambers of the heart.
MUSCLES = [[(-70, 119, .5), (-104, 110, 3), (-136, 86, 4.5), (-152, 48, 4), (-154, 10, 2), (-153, -10, .5)],
           [(-96, 104, .5), (-112, 96, 2), (-127, 82, 3), (-145, 46, 3), (-150, 0, 3), (-146, -40, 2), (-134, -72, 1)],
           [(-154, -60, 1), (-136, -88, 5), (-110, -106, 7)],
           [(-86, 110, 1), (-60, 115, 2), (-25, 117, 1.8), (0, 111, .6), (27, 116, 1.8), (60, 113, 1.6), (86, 108, 1)],
           [(-12, 92, 5), (-17, 98, 10), (-26, 99, 11), (-40, 100, 8), (-54, 104, 3)],
           [(14, 92, 5), (19, 98, 10), (28, 99, 11), (43, 100, 8), (56, 105, 3)]]
BONES = [[(-108, -83, 2), (-117, -76, 4), (-125, -66, 4.2), (-130, -56, 1.5)],                      # right ribs
         [(-137, -38, 1.5), (-138.5, -27, 3.2), (-139.5, -12, 3.8), (-140, 0, 3), (-140.5, 6, 1)],
         [(-140, 24, 1), (-138, 34, 4), (-135, 44, 4.5), (-131, 54, 2)],
         [(-117, 76, 1.5), (-108, 85, 3.5), (-96, 92.5, 4), (-84, 97, 2.5), (-78, 99, 1)],
         [(-21, 64, 4), (-27, 75, 3), (-37, 86, 3.6), (-48, 95, 3.8), (-62, 102, 1.5)],
         [(21, 65, 3.8), (27, 74, 3), (33, 82, 3.2), (40, 89, 1.5)], [(54, 100, 1.5), (62, 102, 3.6), (80, 100, 4)],
         [(-88, 108, 1), (-100, 102, 1.6), (-112, 94, 1.1), (-121, 84, 1.4), (-127, 76, 2.6)],      # scapula
         [(-11, 66, 3), (-12, 74, 3.5), (-9, 83, 3), (0, 89, 3), (9, 83, 3), (12, 74, 3.5), (11, 66, 3)],
         [(-12, 77, 3.5), (-20, 81, 2.8), (-29, 88, 3.4), (-32, 91, 2)], [(12, 77, 3.5), (21, 81, 3), (28, 87, 3.5)],
         [(0, 88, 3.5), (.5, 97, 2.4), (0, 106, 3.2), (0, 108, 2)]]
GROOVES = [[(-60, -82, 4), (-48, -73, 3), (-36, -71, 3.4), (-24, -66, 2.4), (-17, -55, 2), (-17, -48, .6)],
           [(-25, -20, .8), (-20, -14, 2.4), (-8, -10, 1), (4, -10, 1.4), (20, -12, 2.6), (30, -22, 2.8),
            (36, -10, 2), (50, 2, 4)], [(17, -46, .8), (24, -46, 2.6), (36, -52, 2.2), (50, -60, 1)]]
AIRWAYS = [[(-25, 13, 5), (-33, 16, 4.6), (-40, 18, 3.6), (-47, 24, 2.4), (-56, 32, 1.6), (-60, 37, 1)],
           [(-40, 18, 3.2), (-43, 28, 2.2), (-44, 36, 1.6)], [(-58, -2, 1.8), (-66, -5, 1.5), (-74, -9, .8)],
           [(38, 18, 4.6), (42, 21, 4.6)], [(-62, -30, 1.3), (-63, -31.5, 1.3)], [(-38.5, 40, 1.4), (-38.5, 41.5, 1.3)]]
# Discs: x, y, radius in mm, value: aorta, azygos vein, oesophagus and its air, canal, cord, coronary arteries.
DISCS = [(28, 36, 12, BLOOD), (-7, 37, 3.2, BLOOD), (9, 27, 5.5, MUSCLE), (9.6, 26.6, 1.5, 0.2), (0, 76, 7.5, FLUID),
         (0, 75.5, 4.2, MUSCLE), (-36, -71, 1.9, BLOOD), (23, -14, 1.6, BLOOD), (25, -46, 1.5, BLOOD)]
# Vessels that leave the mediastinum within the slice: x, y in mm, heading in degrees, radius in mm.
TRUNKS = [(-26, 4, 184, 4.2), (-34, -2, 215, 3.2), (-36, -6, 246, 2.4), (-34, 8, 160, 3.4), (-36, 12, 140, 3.2),
          (-30, 18, 105, 2.6), (-24, 22, 80, 1.6), (44, 20, 70, 2.8), (54, 15, 50, 2.6)]


def smooth(points, closed):
    """Round a chain of points by cutting its corners four times (Chaikin's algorithm)."""
    p = np.array(points, float)
    for _ in range(4):
        a, b = (p, np.roll(p, -1, axis=0)) if closed else (p[:-1], p[1:])
        cut = np.stack([0.75 * a + 0.25 * b, 0.25 * a + 0.75 * b], 1).reshape(-1, p.shape[1])
        p = cut if closed else np.vstack([p[0], cut, p[-1]])
    return p


def rounded(chains):
    """Round each of several open chains."""
    return [smooth(chain, closed=False) for chain in chains]


def blur(cover, mm):
    """Gaussian blur of an array in [0, 1]."""
    image = Image.fromarray((255 * cover + 0.5).astype(np.uint8))
    return np.asarray(image.filter(ImageFilter.GaussianBlur(mm * PX)), np.float32) / 255


def area(*outlines, edge=0.35):
    """Coverage (0 to 1) of the rounded outlines, with edges softened over `edge` mm."""
    image = Image.new("L", (M, M))
    for outline in outlines:
        ImageDraw.Draw(image).polygon([tuple(p) for p in (smooth(outline, closed=True) - CORNER) * PX], fill=255)
    return blur(np.asarray(image) / 255, edge)


def inset(cover, mm, wobble=0.0):
    """Shrink a coverage by about `mm`: keep it where its blurred copy is still high."""
    return np.clip((blur(cover, mm) - 0.80 + wobble) / 0.12, 0, 1)


def tubes(chains, grow=0.0, solid=1e-3):
    """Coverage of tapering tubes, `grow` mm wider than told; fainter where thinner than `solid` mm."""
    cover = np.zeros((M, M), np.float32)
    for chain in chains:
        points = (np.asarray(chain) + (0, 0, grow) - (*CORNER, 0)) * PX
        for (x0, y0, r0), (x1, y1, r1) in zip(points[:-1], points[1:]):
            r = max(r0, r1)
            top, left = max(int(min(y0, y1) - r), 0), max(int(min(x0, x1) - r), 0)
            part = cover[top:max(int(max(y0, y1) + r) + 2, 0), left:max(int(max(x0, x1) + r) + 2, 0)]
            dx, dy = np.arange(part.shape[1]) + left - x0, np.arange(part.shape[0])[:, None] + top - y0
            ux, uy = x1 - x0, y1 - y0
            t = np.clip((dx * ux + dy * uy) / (ux * ux + uy * uy + 1e-9), 0, 1)      # nearest point of the axis
            depth = r0 + t * (r1 - r0) - np.hypot(dx - t * ux, dy - t * uy)
            np.maximum(part, min(1, 2 * r / (solid * PX)) * np.clip(depth / 2, 0, 1), out=part)
    return cover


def texture(rng, cell):
    """Smooth random field of about unit variance, with details of `cell` mm."""
    k = int(FOV / cell) + 3
    grid = Image.fromarray(rng.standard_normal((k, k)).astype(np.float32))
    return 1.2 * np.asarray(grid.resize((M, M), Image.Resampling.BICUBIC))      # 1.2 undoes the smoothing's loss


def paint(img, cover, value):
    """Blend `value` (a number or a picture) over `img` where `cover` is high."""
    img += cover * (value - img)


def grow_tree(rng, room, start, heading, radius):
    """Grow a vessel and its branches in 3-D inside `room`; return the chains that the slice cuts out."""
    steps = int(rng.uniform(8, 15) * radius ** 0.5) + 1                      # of 1 mm
    way = heading + np.cumsum(rng.normal(0, (0.07, 0.07, 0.03), (steps, 3)), axis=0)
    way /= np.linalg.norm(way, axis=1, keepdims=True)
    path = np.vstack([start, start + np.cumsum(way, axis=0)])
    r = np.linspace(radius, 0.88 * radius, steps + 1)
    col, row = np.clip((path[:, :2] - CORNER) * PX, 0, M - 1).astype(int).T
    free = np.cumprod(room[row, col] > 0.5).astype(bool)                     # stop before the pleura
    off = np.maximum(np.abs(path[:, 2]) - SLAB / 2, 0)                       # distance from the slice
    chains = [np.column_stack([path[:, :2], np.sqrt(np.maximum(r ** 2 - off ** 2, 0))])[free]]
    if not free.all() or radius < 0.3:
        return chains
    share = rng.uniform(0.55, 0.85)                                          # Murray's law: r^3 = r1^3 + r2^3
    side = np.cross(way[-1], rng.normal(0, 1, 3) + (0, 0, rng.choice((-1.5, 1.5))))
    side /= np.linalg.norm(side)
    for part, sign in ((share, 1), (1 - share, -1)):
        angle = rng.uniform(0.9, 1.3) * (1 - part)                           # the thinner branch turns more
        new = np.cos(angle) * way[-1] + sign * np.sin(angle) * side
        chains += grow_tree(rng, room, path[-1], new * (1, 1, 0.4), r[-1] * part ** (1 / 3))
    return chains


def grow_vessels(rng, lung):
    """Return the chains of all vessels: trees within the slice, and short pieces that cross it."""
    room, chains = np.maximum(inset(lung, 1.6), area(*HILA)), []
    for x, y, degrees, radius in TRUNKS:
        angle = np.deg2rad(degrees)
        chains += grow_tree(rng, room, (x, y, 0), (np.cos(angle), np.sin(angle), 0), radius)
    for x, y in CORNER + FOV * rng.uniform(size=(500, 2)):
        up = rng.choice((-1, 1))
        radius = 0.4 + 2 * rng.uniform() * np.exp(-np.hypot(x + 36, y - 6) / 45)     # thin, far from the hilum
        chains += grow_tree(rng, room, (x, y, -6 * up), (*rng.normal(0, 0.3, 2), up), radius)
    return chains


def draw(seed=SEED):
    """Return the slice as an (N, N) array in [0, 1], painted from the skin inwards."""
    rng = np.random.default_rng(seed)
    fine, medium, coarse = texture(rng, 0.9), texture(rng, 2.5), texture(rng, 9.0)
    fat, muscle = FAT + 0.006 * medium + 0.004 * coarse, MUSCLE + 0.006 * medium + 0.005 * coarse
    body, heart, lung = area(BODY), area(HEART), area(*LUNGS)
    bone = blur(np.maximum(tubes(rounded(BONES)), area(VERTEBRA)), 0.3)
    img = np.zeros((M, M), np.float32)

    paint(img, body, MUSCLE)                                                 # the rim that stays is the skin
    paint(img, inset(body, 1.6), fat)
    paint(img, blur(tubes(rounded(MUSCLES)), 0.4), muscle)
    paint(img, area(CAGE), muscle)
    paint(img, np.maximum(area(MEDIASTINUM, edge=0.8), heart), fat)
    paint(img, inset(heart, 1.5), muscle)
    paint(img, area(*CHAMBERS, edge=1.2), BLOOD + 0.003 * coarse)
    paint(img, blur(tubes(rounded(GROOVES)), 0.7), fat)
    paint(img, lung, LUNG + 0.008 * fine + 0.006 * medium)
    paint(img, bone, CORTEX + 0.04 * coarse)
    paint(img, inset(bone, 0.8, 0.04 * coarse), MARROW + 0.04 * fine + 0.05 * medium)
    for x, y, radius, value in DISCS:
        paint(img, blur(tubes([[(x, y, radius)] * 2]), 0.3), value)
    paint(img, blur(tubes(grow_vessels(rng, lung), solid=2.0), 0.2), BLOOD)
    paint(img, tubes(rounded(AIRWAYS), grow=0.9), MUSCLE)                    # bronchial wall
    paint(img, tubes(rounded(AIRWAYS)), AIR)

    img = img.reshape(N, 2, N, 2).mean((1, 3))
    return np.clip(img + 0.006 * rng.standard_normal((N, N)), 0, 1)


if __name__ == "__main__":
    target = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).with_name("ct_slice.png")
    Image.fromarray((255 * draw() + 0.5).astype(np.uint8)).save(target, optimize=True)
