"""The web: pages and a JSON API over one warehouse, in one process.

``app`` puts it together, ``site`` holds what it serves, ``store`` who may see it, ``security`` asks them at every
door, ``views`` are the pages, ``api`` the same answers as JSON. Nothing here knows a rule about data: a page asks
the `Warehouse` that its reader may see (`prodsense.privacy`).
"""
