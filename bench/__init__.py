"""Speed, memory and accuracy as ratios against named peers; see README.md."""
