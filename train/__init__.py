"""The training room: samples -> checkpoint."""
