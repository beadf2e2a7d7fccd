"""How a synthetic chest slice is drawn, from the skin inwards."""
import numpy as np


class Slice:
    """One slice on a grid over [−1, 1]², x to the right, y towards the back."""

    def __init__(self, size: int, seed: int):
        self.size, self.rng = size, np.random.default_rng(seed)
        self.m = 2 * size
        self.y, self.x = np.mgrid[-1:1:self.m * 1j, -1:1:self.m * 1j].astype(np.float32)
        self.image = np.zeros((self.m, self.m), np.float32)

    def vary(self, amount: float) -> float:
        return amount * self.rng.uniform(-1, 1)

    def texture(self, cells: int, amplitude: float):
        """Smooth random field with `cells` bumps a side."""
        grid = self.rng.standard_normal((cells, cells)).astype(np.float32)
        at = np.linspace(0, cells - 1.001, self.m)
        low, t = at.astype(int), (at % 1).astype(np.float32)
        t = t * t * (3 - 2 * t)
        rows = grid[low] * (1 - t)[:, None] + grid[low + 1] * t[:, None]
        return amplitude * (rows[:, low] * (1 - t) + rows[:, low + 1] * t)

    def ellipse(self, x, y, a, b, degrees=0.0, power=2.0):
        """Distance from (x, y) in half-axes a, b of a turned (super-)ellipse: below 1 inside."""
        t = np.deg2rad(degrees)
        u = (self.x - x) * np.cos(t) + (self.y - y) * np.sin(t)
        v = (self.y - y) * np.cos(t) - (self.x - x) * np.sin(t)
        return (np.abs(u / a) ** power + np.abs(v / b) ** power) ** (1 / power)

    def bone(self, distance, cortex=0.92, marrow=0.60):
        core = distance < 0.78
        self.image[distance < 1] = cortex
        self.image[core] = marrow + self.texture(60, 0.03)[core]

    def vessel(self, room, x, y, angle, radius, generations):
        """A branching tree of discs that stays inside `room`."""
        for _ in range(int(self.rng.integers(9, 16))):
            x += (0.9 * radius + 0.006) * np.cos(angle)
            y += (0.9 * radius + 0.006) * np.sin(angle)
            angle += 0.16 * self.rng.standard_normal()
            radius *= 0.975
            if max(abs(x), abs(y)) + radius > 0.98:
                return
            top, left = (int((p - radius + 1) * self.m / 2) for p in (y, x))
            side = int(radius * self.m) + 3
            part = np.s_[top:top + side, left:left + side]
            disc = ((self.x[part] - x) ** 2 + (self.y[part] - y) ** 2 < radius**2) & room[part]
            self.image[part][disc] = 0.40
        if generations and radius > 0.0018:
            for side in (-1, 1):
                turned = angle + side * self.rng.uniform(0.25, 0.8)
                self.vessel(room, x, y, turned, radius * self.rng.uniform(0.6, 0.85), generations - 1)

    def draw(self):
        """The slice, painted from the skin inwards: (size, size), float32."""
        vary, ellipse, image = self.vary, self.ellipse, self.image
        y0, wide, wobble = vary(0.03), 0.90 + vary(0.04), self.texture(7, 0.012)
        torso = ellipse(0, y0, wide, 0.60 + vary(0.03), power=2.5)
        inside = np.minimum(torso, ellipse(0, y0 + 0.10, wide + 0.04, 0.34, power=2.2)) + wobble < 1
        image[inside] = 0.40                                                            # fat and skin
        image[ellipse(0, y0 + 0.03, wide - 0.09, 0.53, power=2.4) + wobble < 1] = 0.44  # muscle
        image[inside] += (self.texture(24, 0.006) + self.texture(60, 0.006))[inside]
        self.organs(y0)
        self.bones(y0, wide)
        couch = np.abs(self.y - 0.80 + 0.22 * self.x**2) < 0.010
        image[couch & ~inside] = 0.33
        averaged = image.reshape(self.size, 2, self.size, 2).mean((1, 3))
        return np.clip(averaged + 0.006 * self.rng.standard_normal(averaged.shape), 0, 1).astype(np.float32)

    def organs(self, y0):
        vary, ellipse, image = self.vary, self.ellipse, self.image
        centres = [(side * (0.40 + vary(0.02)), y0 - 0.03 + vary(0.02)) for side in (-1, 1)]
        lungs = np.zeros_like(image, bool)
        for x, y in centres:
            half = 0.285 + vary(0.02), 0.43 + vary(0.02)
            lungs |= ellipse(x, y, *half, degrees=-8 * np.sign(x), power=2.3) + self.texture(9, 0.03) < 1
        heart = ellipse(0.05 + vary(0.02), y0 - 0.10, 0.21 + vary(0.02), 0.27 + vary(0.02), degrees=vary(10) - 20)
        heart = heart + self.texture(8, 0.03) < 1
        spine = np.minimum(ellipse(0, y0 + 0.05, 0.13, 0.42), ellipse(0, y0 + 0.32, 0.20, 0.15)) < 1
        lungs &= ~heart & ~spine
        image[lungs] = 0.04 + self.texture(60, 0.006)[lungs]
        image[heart] = 0.455
        image[ellipse(0.10, y0 + 0.17, 0.065, 0.065) < 1] = 0.47                        # aorta
        for side in (-1, 1):
            image[ellipse(side * 0.075, y0 + 0.08, 0.05, 0.03, degrees=side * 15) < 1] = 0.02  # main bronchi
        for x, y in centres:
            for angle in np.linspace(-1.25, 1.25, 6) + self.rng.uniform(-0.2, 0.2, 6):
                start = 0.17 * np.sign(x), y0 + 0.03 + 0.05 * np.sin(angle)
                outward = angle if x > 0 else np.pi - angle
                self.vessel(lungs, *start, outward, self.rng.uniform(0.007, 0.012), 3)
            for _ in range(22):                                                         # vessels cut across
                dot = ellipse(x + vary(0.22), y + vary(0.34), *[self.rng.uniform(0.003, 0.008)] * 2) < 1
                image[dot & lungs] = 0.38

    def bones(self, y0, wide):
        vary, ellipse = self.vary, self.ellipse
        for side in (-1, 1):
            for degrees in (20, 55, 92, 125, 152):                                      # ribs, along the chest wall
                t = np.deg2rad(degrees - 90 + vary(6) + np.array([0.0, 1.0]))
                r = (np.abs(np.cos(t) / (wide - 0.17)) ** 2.4 + np.abs(np.sin(t) / 0.475) ** 2.4) ** (-1 / 2.4)
                (x, x1), (y, y1) = side * r * np.cos(t), r * np.sin(t)
                along = np.rad2deg(np.arctan2(y1 - y, x1 - x))
                self.bone(ellipse(x, y0 + y, 0.080 + vary(0.02), 0.019, degrees=along))
            self.bone(ellipse(side * 0.80, y0 + 0.17, 0.11, 0.022, degrees=side * 60))  # scapula
            self.bone(ellipse(side * 0.15, y0 + 0.41, 0.12, 0.026, degrees=side * 18))  # transverse process
        self.bone(ellipse(0, y0 - 0.53, 0.12, 0.030))                                   # sternum
        self.bone(ellipse(0, y0 + 0.33, 0.105, 0.095), marrow=0.56)                     # vertebra
        self.bone(ellipse(0, y0 + 0.455, 0.075, 0.075), cortex=0.85, marrow=0.85)
        self.image[ellipse(0, y0 + 0.445, 0.045, 0.045) < 1] = 0.43                     # spinal canal
        self.bone(ellipse(0, y0 + 0.555, 0.022, 0.060))                                 # spinous process
