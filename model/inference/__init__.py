"""From a picture to a segmentation and its exports."""
