"""U-Net Studio's library: data, networks, training, evaluation, checkpoints, inference.

Imports run one way: data <- networks <- checkpoints <- inference <- evaluation <-
training. Nothing here imports a web framework.
"""

__version__ = "0.1.0"
