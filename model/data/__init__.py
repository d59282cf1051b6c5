"""Pictures and masks: decoding, encodings, data sets, splits, preprocessing."""
