"""Write the demonstration's images and cases.json: `python -m data_engine.synth out/demo/images`."""

from __future__ import annotations

import sys

from data_engine.synth.demo import render_demo

if __name__ == "__main__":
    render_demo(sys.argv[1] if len(sys.argv) > 1 else "out/demo/images")
