"""One identity for both pages. `.streamlit/config.toml` repeats these values; a test compares."""

TITLE = "U-Net Studio"
TAGLINE = "See what a U-Net sees."
ACCENT = "#0f766e"
ACCENT_DARK = "#2dd4bf"
BACKGROUND = "#ffffff"
SURFACE = "#f5f8f7"
TEXT = "#12211f"
# No web fonts: the pages must look the same without a network.
FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Liberation Sans', sans-serif"
