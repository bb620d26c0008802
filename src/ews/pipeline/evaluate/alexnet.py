"""AlexNet's published errors and flip probabilities, by which ImageNet-C and ImageNet-P numbers are divided.

Of torchvision's AlexNet, measured by the benchmarks' authors on their JPEG images and MP4 videos.
"""

# Error in percent, mean over five severities. github.com/google-research/augmix, imagenet.py, `ALEXNET_ERR`, which
# names github.com/hendrycks/robustness; they are the means of the errors by severity in issue 10 there.
ERRORS: dict[str, float] = {
    "gaussian_noise": 88.6428,
    "shot_noise": 89.4468,
    "impulse_noise": 92.2640,
    "defocus_blur": 81.9880,
    "glass_blur": 82.6268,
    "motion_blur": 78.5948,
    "zoom_blur": 79.8360,
    "snow": 86.6816,
    "frost": 82.6572,
    "fog": 81.9324,
    "brightness": 56.4592,
    "contrast": 85.3204,
    "elastic_transform": 64.6056,
    "pixelate": 71.7840,
    "jpeg_compression": 60.6500,
}

# Flip probability in percent. github.com/clovaai/assembled-cnn, mce/eval_robustness.py, `ALEXNET_FP`, beside errors
# that agree with those above. The authors' own table, a spreadsheet that issue 49 of github.com/hendrycks/robustness
# links to, was not compared.
FLIP_PROBABILITIES: dict[str, float] = {
    "gaussian_noise": 23.653,
    "shot_noise": 30.062,
    "motion_blur": 9.297,
    "zoom_blur": 5.942,
    "snow": 11.928,
    "brightness": 4.889,
    "translate": 11.007,
    "rotate": 13.104,
    "tilt": 7.050,
    "scale": 23.531,
}
