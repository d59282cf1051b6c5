"""The parts of the compare page, one idea per module; `app/compare_page.py` puts them in order."""
