"""The case study: LeNet-5 with regular against depthwise separable convolutions."""
