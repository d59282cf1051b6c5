"""From a picture to a segmentation."""
