"""The published formulas once more, one image at a time in float64, as plainly as they can be written.

Slow on purpose, and written without the package: the constants are arguments, so that the same
functions are held to the peer library at the ImageNet constants and then hold the package at the
constants for 32 and 64 pixels. Where peer and published script differ, ``peer=True`` gives the peer's way.
All functions take an image uint8 [H, W, 3] and return float64 [H, W, 3], 0 to 255, before the cut to 8 bits.
"""

import colorsys
import io
import math

import cv2
import numpy as np
from PIL import Image
from scipy import ndimage


def cut(image):
    """Truncate to 8 bits, as ``np.uint8`` does."""
    return np.asarray(image).astype(np.uint8)


# ---- deterministic


def brightness(image, amount):
    def change(h, s, v):
        return h, s, min(max(v + amount, 0), 1)

    return _in_hsv(image, change)


def saturate(image, factor, offset):
    def change(h, s, v):
        return h, min(max(s * factor + offset, 0), 1), v

    return _in_hsv(image, change)


def _in_hsv(image, change):
    colours, inverse = np.unique(image.reshape(-1, 3), axis=0, return_inverse=True)
    table = np.array([colorsys.hsv_to_rgb(*change(*colorsys.rgb_to_hsv(*(c / 255 for c in row)))) for row in colours])
    return np.clip(table, 0, 1)[inverse.ravel()].reshape(image.shape) * 255


def contrast(image, factor):
    x = image / 255
    means = x.mean(axis=(0, 1), keepdims=True)
    return np.clip((x - means) * factor + means, 0, 1) * 255


def pixelate(image, factor):
    height, width = image.shape[:2]
    small = Image.fromarray(image).resize((int(width * factor), int(height * factor)), Image.Resampling.BOX)
    return np.array(small.resize((width, height), Image.Resampling.BOX), np.float64)


def jpeg_compression(image, quality):
    file = io.BytesIO()
    Image.fromarray(image).save(file, "JPEG", quality=quality)
    return np.array(Image.open(file), np.float64)


def gaussian_blur(image, sigma):
    return np.clip(_gaussian(image / 255, sigma), 0, 1) * 255


def _gaussian(x, sigma, mode="nearest", truncate=4.0):
    radius = int(truncate * sigma + 0.5)
    if radius == 0:
        return x
    taps = np.arange(-radius, radius + 1)
    kernel = np.exp(-0.5 * (taps / sigma) ** 2)
    kernel /= kernel.sum()
    for axis in (0, 1):
        x = ndimage.convolve1d(x, kernel, axis=axis, mode=mode)
    return x


def defocus_blur(image, radius, alias_blur):
    reach = max(8, int(radius)) if radius <= 8 else int(radius)
    side = 3 if radius <= 8 else 5
    kernel = np.array(
        [[float(x * x + y * y <= radius * radius) for x in range(-reach, reach + 1)] for y in range(-reach, reach + 1)]
    )
    kernel /= kernel.sum()
    taps = np.arange(side) - side // 2
    smooth = np.exp(-(taps**2) / (2 * alias_blur**2))
    smooth /= smooth.sum()
    for axis in (0, 1):
        kernel = ndimage.convolve1d(kernel, smooth, axis=axis, mode="mirror")
    x = np.stack([ndimage.correlate(image[..., c] / 255, kernel, mode="mirror") for c in range(3)], axis=-1)
    return np.clip(x, 0, 1) * 255


def zoom_blur(image, end, step):
    x = image / 255
    factors = np.arange(1, end, step)
    return np.clip((x + sum(_clipped_zoom(x, factor) for factor in factors)) / (len(factors) + 1), 0, 1) * 255


def _clipped_zoom(x, factor):
    side = x.shape[0]
    crop = math.ceil(side / factor)
    top = (side - crop) // 2
    zoomed = ndimage.zoom(x[top : top + crop, top : top + crop], (factor, factor, 1), order=1)
    trim = (zoomed.shape[0] - side) // 2
    return zoomed[trim : trim + side, trim : trim + side]


# ---- random


def gaussian_noise(image, rng, deviation):
    x = image / 255
    return np.clip(x + rng.normal(size=x.shape, scale=deviation), 0, 1) * 255


def shot_noise(image, rng, photons):
    return np.clip(rng.poisson(image / 255 * photons) / photons, 0, 1) * 255


def impulse_noise(image, rng, share):
    x = image / 255
    hit = rng.random(x.shape) < share
    return np.where(hit, rng.random(x.shape) < 0.5, x) * 255


def speckle_noise(image, rng, deviation):
    x = image / 255
    return np.clip(x + x * rng.normal(size=x.shape, scale=deviation), 0, 1) * 255


def glass_blur(image, rng, sigma, reach, passes, *, swap=False):
    x = cut(_gaussian(image / 255, sigma) * 255)
    height, width = x.shape[:2]
    for _ in range(passes):
        for h in range(height - reach, reach, -1):
            for w in range(width - reach, reach, -1):
                dx, dy = rng.integers(-reach, reach, size=2)
                here, there = x[h, w].copy(), x[h + dy, w + dx].copy()
                x[h, w] = there
                if swap:
                    x[h + dy, w + dx] = here
    return np.clip(_gaussian(x / 255, sigma), 0, 1) * 255


def motion_line(x, radius, sigma, angle):
    """Return the blurred array, not rounded."""
    width = 2 * radius + 1
    weights = [math.exp(-(i**2) / (2 * sigma**2)) for i in range(width)]
    rows, columns = np.arange(x.shape[0]), np.arange(x.shape[1])
    total = np.zeros(x.shape)
    for i, weight in enumerate(weights):
        right = math.ceil(i * math.cos(math.radians(angle)) - 0.5)
        down = math.ceil(i * math.sin(math.radians(angle)) - 0.5)
        total += (
            weight
            / sum(weights)
            * x[np.clip(rows + down, 0, len(rows) - 1)][:, np.clip(columns + right, 0, len(columns) - 1)]
        )
    return total


def motion_blur(image, rng, radius, sigma, *, peer=False):
    blurred = motion_line(image.astype(np.float64), radius, sigma, rng.uniform(-45, 45))
    return blurred if peer else np.floor(blurred + 0.5)


def snow(image, rng, mean, deviation, zoom, threshold, radius, sigma, kept, *, peer=False):
    x = image / 255
    layer = rng.normal(size=x.shape[:2], loc=mean, scale=deviation)
    layer = _clipped_zoom(layer[..., None], zoom)[..., 0]
    layer[layer < threshold] = 0
    layer = np.clip(layer, 0, 1) * 255
    layer = motion_line(layer if peer else np.floor(layer), radius, sigma, rng.uniform(-135, -45))
    layer = np.floor(layer + 0.5) / 255
    grey = x @ np.array([0.299, 0.587, 0.114])
    x = kept * x + (1 - kept) * np.maximum(x, grey[..., None] * 1.5 + 0.5)
    return np.clip(x + (layer + layer[::-1, ::-1])[..., None], 0, 1) * 255


def frost(image, rng, image_weight, frost_weight, folder, scale, *, peer=False):
    names = ["frost1.png", "frost2.png", "frost3.png", "frost4.jpg", "frost5.jpg", "frost6.jpg"]
    photograph = cv2.imread(str(folder / names[rng.integers(6 if peer else 5)]))
    height, width = photograph.shape[:2]
    if peer:
        size = (math.ceil(width * 1.1), math.ceil(height * 1.1))
        photograph = cv2.resize(photograph, size, interpolation=cv2.INTER_CUBIC)
    elif scale != 1:
        photograph = cv2.resize(photograph, (0, 0), fx=scale, fy=scale)
    top = rng.integers(0, photograph.shape[0] - image.shape[0])
    left = rng.integers(0, photograph.shape[1] - image.shape[1])
    crop = photograph[top : top + image.shape[0], left : left + image.shape[1], ::-1]
    return np.clip(image_weight * image.astype(np.float64) + frost_weight * crop, 0, 255)


def fog(image, rng, weight, decay):
    x = image / 255
    size = 2 ** math.ceil(math.log2(max(x.shape[:2])))
    cloud = plasma(rng, size, decay)[: x.shape[0], : x.shape[1], None]
    return np.clip((x + weight * cloud) * x.max() / (x.max() + weight), 0, 1) * 255


def plasma(rng, size, decay):
    """Diamond-square, point by point; draws in the order squares, diamonds in rows, diamonds in columns."""
    heights = np.zeros((size, size))
    step, rough = size, 100.0

    def middle(*corners):
        return sum(heights[y % size, x % size] for y, x in corners) / 4 + rough * rng.uniform(-rough, rough)

    while step >= 2:
        half = step // 2
        lattice = [(y, x) for y in range(0, size, step) for x in range(0, size, step)]
        for y, x in lattice:
            heights[y + half, x + half] = middle((y, x), (y + step, x), (y, x + step), (y + step, x + step))
        for y, x in lattice:
            heights[y, x + half] = middle((y, x), (y, x + step), (y - half, x + half), (y + half, x + half))
        for y, x in lattice:
            heights[y + half, x] = middle((y, x), (y + step, x), (y + half, x - half), (y + half, x + half))
        step, rough = half, rough / decay
    heights -= heights.min()
    return heights / heights.max()


def spatter(image, rng, mean, deviation, sigma, threshold, strength, mud):
    x = image / 255
    liquid = _gaussian(rng.normal(size=x.shape[:2], loc=mean, scale=deviation), sigma)
    liquid[liquid < threshold] = 0
    if mud:
        cover = _gaussian((liquid > threshold).astype(np.float64), strength)
        cover[cover < 0.8] = 0
        return np.clip(x * (1 - cover[..., None]) + np.array([63, 42, 20]) / 255 * cover[..., None], 0, 1) * 255
    liquid = (liquid * 255).astype(np.int64).astype(np.uint8)
    distance = cv2.distanceTransform(255 - cv2.Canny(liquid, 50, 150), cv2.DIST_L2, 5)
    distance = cv2.blur(np.minimum(distance, 20), (3, 3)).astype(np.uint8)
    embossed = cv2.filter2D(cv2.equalizeHist(distance), cv2.CV_8U, np.array([[-2, -1, 0], [-1, 1, 1], [0, 1, 2]]))
    shine = liquid * cv2.blur(embossed, (3, 3)).astype(np.float64)
    if shine.max() > 0:
        shine /= shine.max()
    return np.clip(x + strength * shine[..., None] * np.array([175, 238, 238]) / 255, 0, 1) * 255


def elastic_transform(image, rng, scale, sigma, jitter):
    x = image.astype(np.float32) / 255
    height, width = x.shape[:2]
    if jitter:
        centre = np.array([height // 2, width // 2])
        arm = min(height, width) // 3
        before = np.float32([centre + arm, [centre[0] + arm, centre[1] - arm], centre - arm])
        after = before + rng.uniform(-jitter, jitter, size=before.shape).astype(np.float32)
        matrix = cv2.getAffineTransform(before, after)
        x = cv2.warpAffine(x, matrix, (width, height), borderMode=cv2.BORDER_REFLECT_101)
    down, right = (_gaussian(rng.uniform(-1, 1, size=(height, width)), sigma, "reflect", 3.0) * scale for _ in range(2))
    rows, columns = np.mgrid[:height, :width]
    x = np.stack(
        [ndimage.map_coordinates(x[..., c], [rows + down, columns + right], order=1, mode="reflect") for c in range(3)],
        axis=-1,
    )
    return np.clip(x.astype(np.float64), 0, 1) * 255
