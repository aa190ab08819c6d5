"""What the Slicer module and the page share: regions, marks, requests, previews and results in a scene.

Nothing here knows a window or a widget. Importing it costs nothing: standard library only.
"""
