"""One module a side: `MISSING`, and `open_(folder, question)`, which returns what is measured and how to read it."""
