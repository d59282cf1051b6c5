"""Parts of the segment page: examples, HTML, style and script."""
