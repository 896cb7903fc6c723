"""`python -m prodsense`: the same as `prodsense`."""

from __future__ import annotations

from prodsense.cli import main

if __name__ == "__main__":
    main()
